# The data of growth.sh -> a table of exponents in Markdown on standard output, and the file named by the variable `svg`: a picture of six panels,
# one for each of what varies, and one of all points of one thread by non-zeros x tokens. Axes are logarithmic. The exit status is 1 when
# the linear layers' time there does not grow with an exponent of 0.9 to 1.1.
BEGIN {
    FS = "\t"
    n_panels = split("tokens layers hidden non-zeros threads all", panels, " ")
    label["tokens"] = "tokens"
    label["layers"] = "layers"
    label["hidden"] = "hidden size"
    label["non-zeros"] = "non-zeros"
    label["threads"] = "threads"
    label["all"] = "non-zeros x tokens, all points of one thread"
    lowest = 0.9
    highest = 1.1
}

NR == 1 { next }

{
    value["tokens"] = $2
    value["layers"] = $3
    value["hidden"] = $4
    value["non-zeros"] = $7
    value["threads"] = $6
    add($1, value[$1], $8, $9)
    if ($6 == 1) add("all", $7 * $2, $8, $9)
}

# A point of a panel: whole time and that of linear layers, in ms.
function add(panel, at, ms, linear_ms) {
    n[panel] += 0
    x[panel, n[panel]] = at
    y[panel, n[panel], "whole"] = ms
    y[panel, n[panel], "linear"] = linear_ms
    n[panel]++
}

# Least squares on logarithms: y = factor x^exponent; also the largest ratio between a point and the fit.
function fit(panel, kind,    i, sx, sy, sxx, sxy, a, b, off) {
    for (i = 0; i < n[panel]; i++) {
        a = log(x[panel, i])
        b = log(y[panel, i, kind])
        sx += a
        sy += b
        sxx += a * a
        sxy += a * b
    }
    exponent[panel, kind] = n[panel] * sxx - sx * sx > 0 ? (n[panel] * sxy - sx * sy) / (n[panel] * sxx - sx * sx) : 0
    factor[panel, kind] = n[panel] ? exp((sy - exponent[panel, kind] * sx) / n[panel]) : 0
    worst[panel, kind] = 1
    for (i = 0; i < n[panel]; i++) {
        off = y[panel, i, kind] / (factor[panel, kind] * x[panel, i] ^ exponent[panel, kind])
        if (off < 1) off = 1 / off
        if (off > worst[panel, kind]) worst[panel, kind] = off
    }
}

# 1000 -> 1k
function short(v) {
    if (v >= 1e9) return v / 1e9 "G"
    if (v >= 1e6) return v / 1e6 "M"
    if (v >= 1e3) return v / 1e3 "k"
    return v ""
}

# Places of values in the picture.
function at_x(v) { return left + width * (log(v) - log(x_low)) / (log(x_high) - log(x_low)) }
function at_y(v) { return top + height * (log(y_high) - log(v)) / (log(y_high) - log(y_low)) }

# Grid and numbers at 1, 2, 5 x powers of ten: all of them over few decades, else powers of ten alone.
function axis(horizontal, low, high,    power, step, steps, count, v, p) {
    count = high / low > 300 ? 1 : 3
    split("1 2 5", steps, " ")
    for (power = -6; power <= 15; power++)
        for (step = 1; step <= count; step++) {
            v = steps[step] * 10 ^ power
            if (v < low * 0.999 || v > high * 1.001) continue
            p = horizontal ? at_x(v) : at_y(v)
            if (horizontal) {
                printf "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" class=\"grid\"/>\n", p, top, p, top + height > svg
                printf "<text x=\"%.1f\" y=\"%d\" class=\"middle\">%s</text>\n", p, top + height + 14, short(v) > svg
            } else {
                printf "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" class=\"grid\"/>\n", left, p, left + width, p > svg
                printf "<text x=\"%d\" y=\"%.1f\" class=\"end\">%s</text>\n", left - 5, p + 4, short(v) > svg
            }
        }
}

function draw_points(panel, kind, color,    i) {
    printf "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" class=\"fit\"/>\n", at_x(first),
        at_y(factor[panel, kind] * first ^ exponent[panel, kind]), at_x(last), at_y(factor[panel, kind] * last ^ exponent[panel, kind]), color > svg
    for (i = 0; i < n[panel]; i++)
        printf "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n", at_x(x[panel, i]), at_y(y[panel, i, kind]), color > svg
}

function draw(panel, number,    i, kind, v, low_ms, high_ms) {
    left = 60 + 400 * ((number - 1) % 3)
    top = 60 + 340 * int((number - 1) / 3)
    width = 320
    height = 250
    first = last = x[panel, 0]
    low_ms = high_ms = y[panel, 0, "whole"]
    for (i = 0; i < n[panel]; i++) {
        if (x[panel, i] < first) first = x[panel, i]
        if (x[panel, i] > last) last = x[panel, i]
        for (kind in colors) {
            v = y[panel, i, kind]
            if (v < low_ms) low_ms = v
            if (v > high_ms) high_ms = v
        }
    }
    x_low = first / 1.2
    x_high = last * 1.2
    y_low = low_ms / 2
    y_high = high_ms * 2
    axis(1, x_low, x_high)
    axis(0, y_low, y_high)
    printf "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" class=\"frame\"/>\n", left, top, width, height > svg
    printf "<text x=\"%d\" y=\"%d\" class=\"middle\">%s</text>\n", left + width / 2, top + height + 32, label[panel] > svg
    for (kind in colors) draw_points(panel, kind, colors[kind])
    printf "<text x=\"%d\" y=\"%d\" class=\"title\">ms by %s</text>\n", left, top - 8, panel == "all" ? "non-zeros x tokens" : label[panel] > svg
    printf "<text x=\"%d\" y=\"%d\" class=\"end\">exponents <tspan fill=\"%s\">%.2f</tspan>, <tspan fill=\"%s\">%.2f</tspan></text>\n", left + width, top - 8,
        colors["whole"], exponent[panel, "whole"], colors["linear"], exponent[panel, "linear"] > svg
}

END {
    colors["whole"] = "#1f5fa8"
    colors["linear"] = "#c8641e"
    print "| ms by | points | exponent, whole model | exponent, linear layers | largest distance of linear layers from the fit |"
    print "| --- | --- | --- | --- | --- |"
    print "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1220\" height=\"740\" viewBox=\"0 0 1220 740\">" > svg
    print "<style>text { font: 12px sans-serif; fill: #222 } .title { font-weight: bold } .middle { text-anchor: middle } .end { text-anchor: end }" > svg
    print ".grid { stroke: #ddd } .frame { fill: none; stroke: #555 } .fit { stroke-width: 1.2; stroke-dasharray: 5 3 }</style>" > svg
    print "<rect width=\"1220\" height=\"740\" fill=\"#fff\"/>" > svg
    printf "<text x=\"60\" y=\"24\"><tspan fill=\"%s\">&#9679; whole model</tspan> ", colors["whole"] > svg
    printf "<tspan fill=\"%s\" dx=\"16\">&#9679; linear layers of the encoder</tspan>", colors["linear"] > svg
    print "<tspan dx=\"16\">dashed: least squares on logarithms</tspan></text>" > svg
    for (i = 1; i <= n_panels; i++) {
        panel = panels[i]
        if (n[panel] < 2) continue
        fit(panel, "whole")
        fit(panel, "linear")
        draw(panel, i)
        printf "| %s | %d | %.3f | %.3f | %.2fx |\n", label[panel], n[panel], exponent[panel, "whole"], exponent[panel, "linear"],
            worst[panel, "linear"]
    }
    print "</svg>" > svg
    close(svg)
    if (n["all"] < 2) exit 0
    linear = exponent["all", "linear"] >= lowest && exponent["all", "linear"] <= highest
    printf "\nThe time of linear layers is %slinear in non-zeros x tokens: exponent %.3f, wanted %.1f to %.1f. Picture: %s\n",
        linear ? "" : "NOT ", exponent["all", "linear"], lowest, highest, svg
    exit !linear
}
