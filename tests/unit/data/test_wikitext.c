/* Wikitext to prose: each kind of markup, exactly; then what holds for any text: allocation failures, work that grows with the length. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/data/wikitext.h"
#include "tests/unit/fail_alloc.h"

typedef struct wikitext_case {
    const char *text, *prose;
} wikitext_case;

static wikitext_counts convert(const wikitext_options *options, const char *text, size_t bytes, strbuf *prose) {
    wikitext *w = NULL;
    wikitext_counts counts;
    assert_int_equal(wikitext_create(options, NULL, &w), POFAC_OK);
    strbuf_clear(prose);
    assert_int_equal(wikitext_to_prose(w, text, bytes, NULL, prose, &counts), POFAC_OK);
    wikitext_destroy(w);
    return counts;
}

static void expect(const wikitext_options *options, const wikitext_case *cases, size_t n) {
    strbuf prose = STRBUF_INIT;
    size_t n_wrong = 0;
    for (size_t i = 0; i < n; i++) {
        convert(options, cases[i].text, strlen(cases[i].text), &prose);
        if (strcmp(strbuf_str(&prose), cases[i].prose) == 0) continue;
        print_error("case %zu, from\n%s\nfound\n%s\nwanted\n%s\n", i, cases[i].text, strbuf_str(&prose), cases[i].prose);
        n_wrong++;
    }
    strbuf_free(&prose);
    assert_int_equal(n_wrong, 0);
}

#define EXPECT(cases) expect(NULL, cases, sizeof(cases) / sizeof *(cases))

static void paragraphs(void **state) {
    (void)state;
    static const wikitext_case cases[] = {
        {"", ""},
        {"\n \n\n", ""},
        {"One line", "One line\n"},
        {"One\nparagraph\n\nand  another\t.", "One paragraph\nand another .\n"},
        {"Windows\r\nlines\r\n\r\nhere\r\n", "Windows lines\nhere\n"},
        {"Text\n----\nText after a rule\n-----more", "Text\nText after a rule\nmore\n"},
        {"__NOTOC__\nWords__NOEDITSECTION__ and __init__ and _", "Words and __init__ and _\n"},
        {"no\xC2\xA0"
         "break\xE2\x80\x89thin\xE3\x80\x80wide",
         "no break thin wide\n"},
        {"not \xFF UTF-8 \xC0\x80 \xED\xA0\x80 \xE2\x82",
         "not \xEF\xBF\xBD UTF-8 \xEF\xBF\xBD\xEF\xBF\xBD \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD \xEF\xBF\xBD\xEF\xBF\xBD\n"},
        {"control \x01\x1A characters\x7F.", "control characters .\n"},
        {"...\n\n!\n\nWords", "Words\n"},
        {"Text\n preformatted\n  code()\nText", "Text\nText\n"},
        {"<blockquote>\n  Indented words\n</blockquote>\n code\nEnd", "Indented words\nEnd\n"},
    };
    EXPECT(cases);
}

static void quotes(void **state) {
    (void)state;
    static const wikitext_case cases[] = {
        {"''italic'' and '''bold''' and '''''both'''''", "italic and bold and both\n"},
        {"don't, the dogs' and 'word'", "don't, the dogs' and 'word'\n"},
        {"''''quoted bold''''", "'quoted bold'\n"},
        {"''''''six", "'six\n"},
        {"L'''Étranger'' is", "L'Étranger is\n"},
        {"the word l'''amour'' here and '''bold'''", "the word l'amour here and bold\n"},
        {"dell'''arte'' and ''x''", "dell'arte and x\n"},
        {"an '''arte'' and ''x''", "an 'arte and x\n"},
        {"''open\nnext line", "open next line\n"},
        {"[[a|''x'']]'s ''[[b]]''", "x's b\n"},
    };
    EXPECT(cases);
}

static void headings_and_sections(void **state) {
    (void)state;
    static const char text[] =
        "Lead.\n== One ==\nText 1.\n===Sub===<!-- c -->\nText 2.\n==See also==\n* [[x]]\nDropped.\n=== Deeper ===\n"
        "Dropped.\n== ''External links'': ==\n[http://x y]\n== Two {{anchor|x}} ==\nText 3.\n= not a heading\n==\n"
        "== References <!-- d -->== \n{{reflist}}";
    static const wikitext_case cases[] = {
        {text, "Lead.\nText 1.\nText 2.\nText 3. = not a heading ==\n"},
        {"== A ==\n== Notes and references ==\nx\n= B =\ny", "y\n"},
        {"A <!-- comment\n== Not a heading == -->\nB", "A B\n"},
        {"== Multi {{x\n}} ==\nText", "== Multi == Text\n"},
    };
    static const wikitext_case kept[] = {{text, "Lead.\nOne\nText 1.\nSub\nText 2.\nTwo\nText 3. = not a heading ==\n"}};
    static const wikitext_options keep_headings = {.keep_headings = true};
    strbuf prose = STRBUF_INIT;
    EXPECT(cases);
    expect(&keep_headings, kept, 1);
    const wikitext_counts counts = convert(NULL, text, sizeof text - 1, &prose);
    assert_int_equal(counts.sections, 7);
    assert_int_equal(counts.dropped_sections, 4);
    assert_int_equal(counts.paragraphs, 4);
    strbuf_free(&prose);
}

static void links(void **state) {
    (void)state;
    static const wikitext_case cases[] = {
        {"[[Paris]] and [[Paris|the city]]", "Paris and the city\n"},
        {"many [[word]]s and [[bus]]es", "many words and buses\n"},
        {"[[a|b|c]]", "b|c\n"},
        {"[[Foo (bar)|]], [[Seattle, Washington|]], [[Help:Some page|]]", "Foo, Seattle, Some page\n"},
        {"[[Foo\x1A"
         "bar, x|]]",
         "Foo bar\n"},
        {"[[:Category:Trees]] and [[:File:a.png|a picture]]", "Category:Trees and a picture\n"},
        {"[[Category:Trees]]\n[[category: x|y]]Text", "Text\n"},
        {"[[File:a.png|thumb|A [[link]] and [[b|c]] in {{x|y}} <ref>r</ref>]]Text", "Text\n"},
        {"[[Image:a.png]][[media:x.ogg|y]][[FILE:b]]Text", "Text\n"},
        {"[[fr:Arbre]] [[zh-min-nan:x]] [[simple:Tree]] Text", "Text\n"},
        {"[[Star Trek: Voyager]] [[a]]", "Star Trek: Voyager a\n"},
        {"[http://x.org text here] [https://y.org] [//z.org ''z'']", "text here z\n"},
        {"[mailto:a@b.c mail] [not a link] [1]", "mail [not a link] [1]\n"},
        {"[http://x.org a [[b|link]] in it]", "a link in it\n"},
        {"[[http://x.org text]]", "text\n"},
        {"[http://x.org no end\nnext", "no end next\n"},
        {"see http://x.org/a_b.", "see http://x.org/a_b.\n"},
        {"[[open\n\nnext [[link]] ]", "open\nnext link ]\n"},
        {"[[a\nb|c]] d", "a b|c d\n"},
        {"stray ]] and [[ here", "stray and here\n"},
        {"[[a{{x}}b|c{{nowrap|d}}]]", "cd\n"},
        {"[[]] [[|x]] [[a|{{x}}]]", "x\n"},
        {"[[[a]]] [[[[b]]]]", "[a] b\n"},
    };
    EXPECT(cases);
}

static void templates(void **state) {
    (void)state;
    static const wikitext_case cases[] = {
        {"{{Infobox\n| a = {{b|{{c}}}}\n| d = [[e|f]]\n}}\n'''Text''' {{citation needed|date=May}}.", "Text.\n"},
        {"{{convert|5|km}}, {{Convert|1300|mi|km|abbr=on}}", "5 km, 1,300 mi\n"},
        {"{{convert|5|-|10|sqmi|km2}} {{convert|2|to|3|C|F}} {{cvt|3|x|4|x|5|ft|m|0}}", "5–10 sq mi 2 to 3 °C 3 × 4 × 5 ft\n"},
        {"{{convert|60|and(-)|80|kg|lb}} {{convert|6|to(-)|7|ft}} {{convert|9|+/-|1|m}}", "60 and 80 kg 6 to 7 ft 9 ± 1 m\n"},
        {"{{convert|6|ft|2|in|cm}} {{convert|22.5|e6acre}} {{convert|20|m|0}}", "6 ft 2 in 22.5 million acre 20 m\n"},
        {"{{lang|fr|texte}} {{lang-fr|''mot''}} {{Lang-xx|y}} {{langx|de|Wort}}", "texte French: mot y German: Wort\n"},
        {"{{nowrap|a b}} {{nowrap|1=x=y}} {{small|{{nowrap|z}}}}", "a b x=y z\n"},
        {"a{{IPAc-en|a|b}} {{IPA|x}}b", "a b\n"},
        {"rock {{'}}n{{'}} roll, 1{{ndash}}2, a{{snd}}b{{mdash}}c, the dogs{{'s}}", "rock 'n' roll, 1–2, a – b—c, the dogs's\n"},
        {"{{as of|2009|4}}, {{As of|2009|4|5|lc=y}}, {{as of|2009|4|5|df=US}}, {{as of|2010|alt=Now}}",
         "As of April 2009, as of 5 April 2009, As of April 5, 2009, Now\n"},
        {"{{birth date|1809|2|12}} {{start date|1809|2|df=y}} {{bda|1809|2|12|df=yes}}",
         "February 12, 1809 February 1809 12 February 1809\n"},
        {"{{Nihongo|'''Aikido'''|合気道|Aikidō|lead=yes}} {{nihongo|a||b}} {{nihongo|a|b}}",
         "Aikido (合気道, Aikidō) a (b) a (b)\n"},
        {"{{chem|H|2|O}} {{frac|1|2}} {{frac|3|1|2}} {{frac|8}} {{e|5}} {{formatnum:1234567.89}}",
         "H2O 1/2 3 1/2 1/8 ×10^5 1,234,567.89\n"},
        {"{{val|1.5|0.2|e=6|u=m}} {{music|flat}} {{music|x}} {{US$|5}}", "1.5±0.2×10^6 m ♭ US$5\n"},
        {"{{quote|text=Be\n\nnot afraid.|author=X}} After", "Be\nnot afraid.\nAfter\n"},
        {"Before {{quote|Be.|X}} After", "Before\nBe.\nAfter\n"},
        {"{{USS|Enterprise|CV-6}} and {{HMS|Beagle}}", "USS Enterprise (CV-6) and HMS Beagle\n"},
        {"{{transl|ar|ISO|x}} {{transl|ar|y}} {{script|Arab|z}}", "x y z\n"},
        {"{{1}} {{{1|default}}} {{{{{1}}}}} {{#if:a|b}} {{PAGENAME}}x", "x\n"},
        {"{{small_caps|a}} {{ NOWRAP\n| b }} {{nowrap<!-- c -->|d}}", "a b\n"},
        {"{{nowrap|[[a|b]] ''c'' <ref>d</ref>}} {{nowrap|}}{{nowrap}}", "b c\n"},
        {"{{unclosed|x\n\nText {{nowrap|y}} z", "unclosed|x\nText y z\n"},
        {"Text }} more", "Text more\n"},
        {"a {b} c {| d", "a {b} c {| d\n"},
        {"{{a|[[b}} c]] d", "c d\n"},
    };
    EXPECT(cases);
}

static void tables(void **state) {
    (void)state;
    static const wikitext_case cases[] = {
        {"A\n{| class=x\n|-\n! h\n| a || [[b]]\n|}\nB", "A\nB\n"},
        {"A\n{|\n| a\n:{|\n| b\n|}\n| c\n|}\nB", "A\nB\n"},
        {"A\n{{x|\n{|\n| a\n|}}}\nB", "A\nB\n"},
        {"A\n{|\n| {{x|\n|}}\n| b\n|}\nB", "A\nB\n"},
        {"A\n{|\n| {{x|y\n|}\nB", "A\nB\n"},
        {"A\n{|\n| open\n! row\n|-\nB", "A\nB\n"},
        {"A <table><tr><td>x <table>y</table></td></tr></table> B </table>", "A\nB\n"},
        {"A\n| leftover\n|}\nB {| c", "A\nB {| c\n"},
    };
    EXPECT(cases);
}

static void elements(void **state) {
    (void)state;
    static const wikitext_case cases[] = {
        {"A<ref>x [[y]]</ref>, b<ref name=\"c\">{{cite\n|z}}</ref><ref name=d /> e.<REF>f</REF>", "A, b e.\n"},
        {"A <ref>open [[b]]<ref>c</ref> d", "A open b d\n"},
        {"A</ref> b", "A b\n"},
        {"a<br>b<br />c<BR/>d", "a b c d\n"},
        {"H<sub>2</sub>O <small>small</small> <span style=\"x\">span</span> <u>u</u>", "H2O small span u\n"},
        {"A<!-- x [[ {{ <ref> -->B<!-- y\n\n -->C", "ABC\n"},
        {"A\n<!-- alone -->\nB", "A B\n"},
        {"A <!-- open\n\nB", "A\n"},
        {"the mass <math>m</math> and <math>\\frac{a}{b}</math>, <math alt=x>x + 1</math>", "the mass m and, x + 1\n"},
        {"A <nowiki>[[b]] ''c'' {{d}} &amp; <!-- e --></nowiki> f<nowiki/>g", "A [[b]] ''c'' {{d}} & <!-- e --> fg\n"},
        {"A\n<gallery>\nFile:x|[[y]]\n</gallery>\nB <timeline>z</timeline> C", "A\nB C\n"},
        {"A <syntaxhighlight lang=c>x {{ y</syntaxhighlight> <source>z</source> <pre>p</pre> <code>f()</code>", "A f()\n"},
        {"A\n<poem>\nRoses\nare red\n</poem>\nB", "A\nRoses are red\nB\n"},
        {"A<blockquote>quote</blockquote>B<p>C", "A\nquote\nB\nC\n"},
        {"a < b, c<d and <unknown>e</unknown> <3 <", "a < b, c<d and <unknown>e</unknown> <3 <\n"},
        {"A <math>open", "A open\n"},
        {"A <span\nclass=x>b</span> c <b", "A b c <b\n"},
        {"<gallery/>A <references group=x/> B", "A B\n"},
        {"<ruby>x<rt>y</rt></ruby>", "x\n"},
    };
    EXPECT(cases);
}

static void entities(void **state) {
    (void)state;
    static const wikitext_case cases[] = {
        {"a&nbsp;b &amp; &lt;ref&gt; &quot;x&quot; &apos;", "a b & <ref> \"x\" '\n"},
        {"&ndash;&eacute;&Eacute;&thetasym;&euro;&there4;", "–éÉϑ€∴\n"},
        {"&#65;&#x42;&#X43;&#x1F600;&#160;&#0;&#xD800;&#x110000;", "ABC\xF0\x9F\x98\x80 &#0;&#xD800;&#x110000;\n"},
        {"AT&T &unknown; &amp &; &#; &#x; &", "AT&T &unknown; &amp &; &#; &#x; &\n"},
        {"&amp;nbsp; &#26;x", "&nbsp; x\n"},
    };
    EXPECT(cases);
}

static void lists(void **state) {
    (void)state;
    static const char text[] = "Intro:\n* [[One]]<ref>\n\nr</ref>\n** Two {{x|\ny}}\n# Three\n: Four\n;Term: def\nAfter";
    static const wikitext_case dropped[] = {{text, "Intro:\nAfter\n"}, {"* a [[b]] [[c\n* d", ""}};
    static const wikitext_case kept[] = {{text, "Intro:\nOne\nTwo\nThree\nFour\nTerm: def\nAfter\n"}};
    static const wikitext_options keep_lists = {.keep_lists = true};
    EXPECT(dropped);
    expect(&keep_lists, kept, 1);
}

static void remains(void **state) {
    (void)state;
    static const wikitext_case cases[] = {
        {"Foo ({{x}}) is", "Foo is\n"},
        {"Foo ({{x}}; {{y}}, {{z}}) is", "Foo is\n"},
        {"Foo ({{x}}; born 1900) is", "Foo (born 1900) is\n"},
        {"Foo (born 1900; {{x}}) is", "Foo (born 1900) is\n"},
        {"Foo (({{x}})) is", "Foo is\n"},
        {"Foo {{x}}, bar {{y}} . {{z}}", "Foo, bar.\n"},
        {"as in {{x}}, {{y}}, or {{z}}.", "as in, or.\n"},
        {"f() and (:a) and ( ) stay , here", "f() and (:a) and ( ) stay , here\n"},
        {"({{x}}) Foo ({{y}}", "Foo (\n"},
        {"(a) {{x}}(b)", "(a) (b)\n"},
    };
    EXPECT(cases);
}

static void redirects_and_disambiguations(void **state) {
    (void)state;
    strbuf prose = STRBUF_INIT;
    wikitext_counts counts = convert(NULL, "\n#Redirect [[x]]\nText", 22, &prose);
    assert_int_equal(counts.redirects, 1);
    assert_string_equal(strbuf_str(&prose), "");
    const char text[] = "'''X''' may be:\n* x {{hndis}}\n== See also ==\n* y\n{{Disambiguation|geo}}\n{{other}}";
    counts = convert(NULL, text, sizeof text - 1, &prose);
    assert_string_equal(strbuf_str(&prose), "X may be:\n");
    assert_int_equal(counts.disambiguations, 2);
    assert_int_equal(counts.redirects, 0);
    strbuf_free(&prose);
}

static void counts_add_up(void **state) {
    (void)state;
    const char text[] = "A [[b]] {{c}} {{nowrap|d}} [[File:e]] <ref>f</ref> <math>\\g</math>\n{|\n|}\n[[ }} h\n";
    strbuf prose = STRBUF_INIT;
    const wikitext_counts c = convert(NULL, text, sizeof text - 1, &prose);
    assert_string_equal(strbuf_str(&prose), "A b d\nh\n");
    assert_int_equal(c.bytes, sizeof text - 1);
    assert_int_equal(c.prose_bytes, prose.size);
    assert_int_equal(c.paragraphs, 2);
    assert_int_equal(c.templates, 2);
    assert_int_equal(c.kept_templates, 1);
    assert_int_equal(c.links, 1);
    assert_int_equal(c.files, 1);
    assert_int_equal(c.elements, 2);
    assert_int_equal(c.tables, 1);
    assert_int_equal(c.unbalanced, 2);
    wikitext_counts total = {0};
    const uint64_t *one = (const uint64_t *)&c, *sum = (const uint64_t *)&total;
    wikitext_counts_add(&total, &c);
    wikitext_counts_add(&total, &c);
    for (size_t i = 0; i < sizeof c / sizeof *one; i++) assert_int_equal(sum[i], 2 * one[i]);
    strbuf_free(&prose);
}

/* One object for many texts gives what one object for each gives, appended. */
static void reuse(void **state) {
    (void)state;
    static const char *const texts[] = {
        "{{open [[x", "== References ==\nx", "<blockquote>\n x", "'''a''", "[http://x y", "plain ''text''", " x\ny"};
    strbuf together = STRBUF_INIT, alone = STRBUF_INIT, one = STRBUF_INIT;
    wikitext *w = NULL;
    assert_int_equal(wikitext_create(NULL, NULL, &w), POFAC_OK);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_int_equal(wikitext_to_prose(w, texts[i], strlen(texts[i]), NULL, &together, NULL), POFAC_OK);
        convert(NULL, texts[i], strlen(texts[i]), &one);
        strbuf_append(&alone, one.data, one.size);
    }
    assert_string_equal(strbuf_str(&together), strbuf_str(&alone));
    wikitext_destroy(w);
    strbuf_free(&together);
    strbuf_free(&alone);
    strbuf_free(&one);
}

static void failing_allocations(void **state) {
    (void)state;
    const char text[] = "{{nowrap|{{lang-fr|x}} [[a|b]]}} '''c'' ''d''\n== e ==\n{|\n|}\n<ref>f</ref>";
    for (size_t n = 1;; n++) {
        wikitext *w = NULL;
        strbuf prose = STRBUF_INIT, said = STRBUF_INIT;
        diag_sink sink = diag_sink_to_strbuf(&said);
        fail_alloc_after(n);
        pofac_status status = wikitext_create(NULL, &sink, &w);
        if (status == POFAC_OK) status = wikitext_to_prose(w, text, sizeof text - 1, &sink, &prose, NULL);
        const bool failed = fail_alloc_stop();
        assert_int_equal(status, failed ? POFAC_ERR_RUNTIME : POFAC_OK);
        assert_string_equal(strbuf_str(&prose), failed ? "" : "French: x b 'c d\n");
        wikitext_destroy(w);
        strbuf_free(&prose);
        strbuf_free(&said);
        if (!failed) break;
    }
}

/* The work for `unit` repeated is a multiple of the length, whatever it is. */
static void expect_linear(const char *begin, const char *unit, const char *end) {
    enum { N = 40000, MAX_VISITS = 48 };
    strbuf text = STRBUF_INIT, prose = STRBUF_INIT;
    strbuf_puts(&text, begin);
    for (size_t i = 0; i < N; i++) strbuf_puts(&text, unit);
    for (size_t i = 0; *end && i < N; i++) strbuf_puts(&text, end);
    assert_true(strbuf_ok(&text));
    const wikitext_counts counts = convert(NULL, text.data, text.size, &prose);
    if (counts.visited > (uint64_t)MAX_VISITS * text.size || prose.size > 3 * text.size + 1)
        fail_msg("%s%s...%s: %zu bytes, visited %llu, %zu of prose", begin, unit, end, text.size,
                 (unsigned long long)counts.visited, prose.size);
    strbuf_free(&text);
    strbuf_free(&prose);
}

static void work_is_linear(void **state) {
    (void)state;
    static const char *const units[][2] = {
        {"{{", "}}"},
        {"{{nowrap|", "}}"},
        {"{{nowrap|x ", "y}}"},
        {"{{{", "}}}"},
        {"{", "}"},
        {"[[", "]]"},
        {"[[a|", "]]"},
        {"[[a|b ", "c]]"},
        {"\n{|", "\n|}"},
        {"\n{|\n|", "\n|}"},
        {"<table>", "</table>"},
        {"{{[[", "]]}}"},
        {"[[{{", "}}]]"},
        {"{{quote|[[a|", "]]}}"},
        {"<!--", ""},
        {"<!--", "-->"},
        {"<ref>", ""},
        {"<ref>", "</ref>"},
        {"<ref ", ""},
        {"<ref", ""},
        {"<math>", ""},
        {"<nowiki>", ""},
        {"<gallery>\n", ""},
        {"<div>", "</div>"},
        {"<b", ""},
        {"<", ""},
        {">", ""},
        {"'", ""},
        {"'' ", ""},
        {"''' x''\n", ""},
        {"x'''", ""},
        {"==", ""},
        {"== x ==\n", ""},
        {"== x ==<!-- -->", ""},
        {"=\n", ""},
        {"\n== References ==\n* x", ""},
        {"* [[x]] ", ""},
        {"* {{x\n}}", ""},
        {"*", ""},
        {"(", ")"},
        {"( ", ")"},
        {"({{x}}", ")"},
        {"({{x}};", ""},
        {", {{x}}", ""},
        {"[http://x ", "]"},
        {"[http://", ""},
        {"[", "]"},
        {"]", ""},
        {"}}", ""},
        {"|", ""},
        {"\n|", ""},
        {"\n|}", ""},
        {"&", ""},
        {"&amp", ""},
        {"&#", ""},
        {"__", ""},
        {"__A", ""},
        {" ", ""},
        {"\n ", ""},
        {"\n:", ""},
        {":", ""},
        {"{|", ""},
        {"  {|", ""},
        {"{{convert|", "}}"},
        {"{{lang|fr|", "}}"},
        {"{{chem|a|", "|b}}"},
        {"{{nowrap|a=b|c|", "}}"},
        {"[[a]", ""},
        {"[[a\n", "]]"},
        {"[[File:", "]]"},
        {"</ref>", ""},
        {"</table>", ""},
        {"{{\n|}", ""},
        {"<!-- -->\n", ""},
        {"\xE2\x80", ""},
        {"\xFF", ""},
        {"{{ ", ""},
        {"{{nowrap ", ""},
    };
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        expect_linear("", units[i][0], units[i][1]);
        expect_linear("{{nowrap|[[", units[i][0], units[i][1]);
        expect_linear("* ", units[i][0], "");
        expect_linear("== See also ==\n", units[i][0], "");
        expect_linear("", units[i][1][0] ? units[i][1] : " ", units[i][0]);
    }
}

/* 10^6 of one within the other; what is deeper than the limit shows nothing. */
static void deep_nesting(void **state) {
    (void)state;
    enum { N = 1000000 };
    strbuf text = STRBUF_INIT, prose = STRBUF_INIT;
    for (size_t i = 0; i < N; i++) strbuf_puts(&text, "{{nowrap|a");
    for (size_t i = 0; i < N; i++) strbuf_puts(&text, "}}");
    const wikitext_counts c = convert(NULL, text.data, text.size, &prose);
    assert_string_equal(strbuf_str(&prose), "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n");
    assert_int_equal(c.kept_templates, 40);
    assert_int_equal(c.unbalanced, 0);
    strbuf_free(&text);
    strbuf_free(&prose);
}

static void too_long(void **state) {
    (void)state;
    wikitext *w = NULL;
    strbuf said = STRBUF_INIT, prose = STRBUF_INIT;
    diag_sink sink = diag_sink_to_strbuf(&said);
    assert_int_equal(wikitext_create(NULL, &sink, &w), POFAC_OK);
    assert_int_equal(wikitext_to_prose(w, "", (size_t)UINT32_MAX, &sink, &prose, NULL), POFAC_ERR_INPUT);
    assert_string_equal(strbuf_str(&said), "error: wikitext of 4294967295 bytes, wanted less than 4294966271\n");
    wikitext_destroy(w);
    wikitext_destroy(NULL);
    strbuf_free(&said);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paragraphs),
        cmocka_unit_test(quotes),
        cmocka_unit_test(headings_and_sections),
        cmocka_unit_test(links),
        cmocka_unit_test(templates),
        cmocka_unit_test(tables),
        cmocka_unit_test(elements),
        cmocka_unit_test(entities),
        cmocka_unit_test(lists),
        cmocka_unit_test(remains),
        cmocka_unit_test(redirects_and_disambiguations),
        cmocka_unit_test(counts_add_up),
        cmocka_unit_test(reuse),
        cmocka_unit_test(failing_allocations),
        cmocka_unit_test(work_is_linear),
        cmocka_unit_test(deep_nesting),
        cmocka_unit_test(too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
