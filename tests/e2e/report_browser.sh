#!/bin/bash
# A report in a browser: it renders without a message on the console, every curve that is drawn has the numbers of metrics.jsonl, nothing is wider than a phone, in light and
# in dark, and it prints. Needs Chromium: chromium, chromium-browser or google-chrome, or what POFAC_CHROMIUM names; skipped where there is none.
. "$(dirname "$0")/harness.bash"
. "$source_dir/tests/e2e/report_runs.bash"
for browser in "${POFAC_CHROMIUM:-}" chromium chromium-browser google-chrome; do
    [ -n "$browser" ] && command -v "$browser" >/dev/null && break
    browser=
done
if [ -z "$browser" ]; then
    echo "SKIP: no Chromium on PATH, and POFAC_CHROMIUM names none"
    exit 77
fi
make_runs
run report dense pruned -o page.html --threads 1 --iterations 3
wants_status 0

# browse ARGUMENT...: the browser without a window, offline; its streams are in `dom` and `log`.
browse() {
    HOME=$PWD timeout 120 "$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars --disable-background-networking --proxy-server=127.0.0.1:9 --user-data-dir="$PWD/profile" \
        --enable-logging=stderr --virtual-time-budget=4000 --allow-file-access-from-files "$@" >dom 2>log
}

# The page within a frame of 360 and of 1200 pixels; what a test wants to know of it is written into the outer page.
cat >probe.html <<'HTML'
<!DOCTYPE html><meta charset="utf-8"><iframe id="narrow" style="width:360px;height:600px;border:0" src="page.html"></iframe>
<iframe id="wide" style="width:1200px;height:600px;border:0" src="page.html"></iframe><pre id="found"></pre><script>
function probe(id, lines) {
    var frame = document.getElementById(id), page = frame.contentDocument, root = page.documentElement;
    lines.push(id + ' width ' + root.clientWidth + ' scroll ' + root.scrollWidth);
    var drawn = 0;
    page.querySelectorAll('.plot .series path').forEach(function (path) { if (path.getBBox().width > 0) drawn++; });
    lines.push(id + ' drawn ' + (drawn > 0));
    page.querySelectorAll('.plot').forEach(function (plot) {
        var box = plot.getBoundingClientRect();
        if (box.width < 200 || box.right > root.clientWidth) lines.push(id + ' chart of ' + box.width + ' pixels ends at ' + box.right);
    });
    page.querySelectorAll('img').forEach(function (img) { lines.push(id + ' image ' + (img.complete && img.naturalWidth > 0)); });
    page.querySelectorAll('svg .tick').forEach(function (text) {
        var box = text.getBoundingClientRect(), plot = text.closest('svg').getBoundingClientRect();
        if (box.left < plot.left - 1 || box.right > plot.right + 1) lines.push(id + ' label "' + text.textContent + '" is cut');
    });
    return page;
}
addEventListener('load', function () {
    var lines = [], page = probe('narrow', lines);
    probe('wide', lines);
    page.querySelectorAll('[data-metric][data-steps]').forEach(function (g) {
        lines.push(['curve', g.dataset.run, g.dataset.metric, g.dataset.values].join(' '));
    });
    var plot = page.querySelector('svg[data-plot]'), box = plot.getBoundingClientRect();
    plot.dispatchEvent(new page.defaultView.PointerEvent('pointermove', {clientX: box.left + box.width - 12, clientY: box.top + 20}));
    lines.push('tip ' + page.getElementById('tip').textContent.split('\n')[0]);
    document.getElementById('found').textContent = lines.join('\n');
});
</script>
HTML
browse --dump-dom "file://$PWD/probe.html" || fail "the browser: exit status $?: $(tail -3 log)"
grep -E 'CONSOLE|Uncaught' log >messages && fail "messages on the console: $(head -5 messages)"
sed -n '/<pre id="found">/,/<\/pre>/p' dom | sed 's/.*<pre id="found">//; s/<\/pre>.*//; s/&lt;/</g; s/&gt;/>/g; s/&amp;/\&/g' >found
grep -qx 'narrow width 360 scroll 360' found || fail "a page of 360 pixels: $(grep 'narrow width' found)"
grep -qx 'wide width 1200 scroll 1200' found || fail "a page of 1200 pixels: $(grep 'wide width' found)"
for line in 'narrow drawn true' 'wide drawn true' 'narrow image true'; do grep -qx "$line" found || fail "the probe: no line: $line"; done
grep -E 'image false|chart of|is cut' found >wrong && fail "the probe: $(head -5 wrong)"
compared=0
for name in dense pruned; do
    for metric in loss learning_rate grad_norm sparsity tokens_per_second eval_loss eval_accuracy sparsity_per_layer/bert.encoder.layer.0.intermediate.dense; do
        wanted=$(logged $name $metric | paste -sd ' ')
        [ -n "$wanted" ] || continue
        [ "$(sed -n "s|^curve $name $metric ||p" found)" = "$wanted" ] || fail "$name, $metric: the browser has other numbers"
        compared=$((compared + $(wc -w <<<"$wanted")))
    done
done
[ $compared -ge 240 ] || fail "$compared numbers were compared, wanted 240"
[ "$(grep '^tip' found)" = "tip dense loss, step 24: $(logged dense loss | tail -1)" ] || fail "under the pointer: $(grep '^tip' found)"

# ---- pictures: light, dark, and paper ----

for mode in 1 0; do # of blink: 0 is dark
    browse --window-size=360,800 --blink-settings=preferredColorScheme=$mode --screenshot="$PWD/mode$mode.png" "file://$PWD/page.html"
    [ -s mode$mode.png ] || fail "no screenshot: $(tail -3 log)"
done
cmp -s mode0.png mode1.png && fail "dark and light look the same"
browse --no-pdf-header-footer --print-to-pdf="$PWD/page.pdf" "file://$PWD/page.html"
[ "$(head -c 5 page.pdf)" = "%PDF-" ] && [ "$(wc -c <page.pdf)" -gt 20000 ] || fail "printing: $(tail -3 log)"
finish
