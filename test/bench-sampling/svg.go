package main

import (
	"bytes"
	"fmt"
	"math"

	"viperprobe.dev/viperprobe/test/rig"
)

// A panel is one plot of the picture: a value over the ratio, which is drawn by its
// logarithm.
type panel struct {
	x, y, width, height float64
	title, unit         string
	top                 float64 // the largest value; the least is 0
}

// A curve is one line of a panel.
type curve struct {
	name, colour string
	dashed       bool
	at           map[float64]float64 // value by ratio
}

var colours = []string{"#0969da", "#bc4c00", "#1a7f37", "#8250df", "#57606a"}

// ratios are the ticks of the axis.
var ratios = []float64{0.01, 0.05, 0.1, 0.25, 0.5, 1}

func (p *panel) point(ratio, v float64) (x, y float64) {
	return p.x + p.width*(math.Log10(ratio)+2)/2, p.y + p.height*(1-min(v/p.top, 1.04))
}

func (p *panel) draw(out *bytes.Buffer, curves []curve) {
	fmt.Fprintf(out, `<text class="title" x="%.0f" y="%.0f">%s</text>`+"\n", p.x, p.y-16, p.title)
	for i := range 5 {
		v := p.top * float64(i) / 4
		_, y := p.point(1, v)
		fmt.Fprintf(out, `<path class="grid" d="M%.1f %.1fH%.1f"/><text x="%.1f" y="%.1f" text-anchor="end">%.0f%s</text>`+"\n", p.x, y, p.x+p.width, p.x-6, y+4, v, p.unit)
	}
	for _, ratio := range ratios {
		x, _ := p.point(ratio, 0)
		fmt.Fprintf(out, `<text x="%.1f" y="%.1f" text-anchor="middle">%s</text>`+"\n", x, p.y+p.height+18, number(ratio))
	}
	fmt.Fprintf(out, `<text x="%.1f" y="%.1f" text-anchor="middle">ratio</text>`+"\n", p.x+p.width/2, p.y+p.height+36)
	for i, c := range curves {
		path, dash := "", ""
		if c.dashed {
			dash = ` stroke-dasharray="5 4"`
		}
		for _, ratio := range ratios {
			v, ok := c.at[ratio]
			if !ok {
				continue
			}
			x, y := p.point(ratio, v)
			letter := "L"
			if path == "" {
				letter = "M"
			}
			path += fmt.Sprintf("%s%.1f %.1f", letter, x, y)
			fmt.Fprintf(out, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", x, y, c.colour)
		}
		y := p.y + p.height + 62 + 18*float64(i)
		fmt.Fprintf(out, `<path class="curve" stroke="%s"%s d="%s"/>`+"\n", c.colour, dash, path)
		fmt.Fprintf(out, `<path class="curve" stroke="%s"%s d="M%.1f %.1fh28"/><text x="%.1f" y="%.1f">%s</text>`+"\n", c.colour, dash, p.x, y-4, p.x+36, y, c.name)
	}
}

// draw makes the picture of what was found: handler costs, and the response of Redis.
func (b *bench) draw() []byte {
	var out bytes.Buffer
	width := 960
	if len(b.redis) == 0 {
		width = 480
	}
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %[1]d 560" font-family="sans-serif" font-size="12" fill="#24292f">
<style>.title{font-size:15px;font-weight:bold}.grid{stroke:#d0d7de}.curve{fill:none;stroke-width:2}</style>
<rect width="%[1]d" height="560" fill="#ffffff"/>
`, width)
	var costs, responses []curve
	dearest := 100.0 // 1 in n may cost more than everything
	for i := range b.lines {
		l := &b.lines[i]
		whole, name := rig.Median(l.handler[mode{"windows", 1}]), l.family
		if len(l.beside) > 0 {
			name += ", hook shared with a whole family"
		}
		for _, kind := range []string{"windows", "1 in n"} {
			c := curve{name + ": " + kind, colours[i], kind != "windows", map[float64]float64{}}
			for m, v := range l.handler {
				if m.kind == kind || m.ratio == 1 {
					c.at[m.ratio] = 100 * rig.Median(v) / whole
					dearest = max(dearest, c.at[m.ratio])
				}
			}
			if len(c.at) > 1 {
				costs = append(costs, c)
			}
		}
	}
	least, most := math.Inf(1), 0.0
	for i := range b.redis {
		r := &b.redis[i]
		for _, kind := range []string{"windows", "1 in n"} {
			c := curve{r.name + ": " + kind, colours[i], kind != "windows", map[float64]float64{}}
			for m, v := range r.p50 {
				if m.kind == kind || m.ratio == 1 {
					c.at[m.ratio] = rig.Median(v)
					most = max(most, rig.Median(v))
				}
			}
			responses = append(responses, c)
		}
		least = min(least, rig.Median(r.p50[nobody]))
	}
	p := panel{64, 50, 380, 250, "Handler cost, % of looking at every event", " %", math.Ceil(dearest/20) * 20}
	p.draw(&out, costs)
	if len(responses) > 0 {
		p = panel{552, 50, 380, 250, fmt.Sprintf("Redis, p50 in us (%.0f with nothing attached)", least), "", math.Ceil(most/40) * 40}
		p.draw(&out, responses)
	}
	out.WriteString("</svg>\n")
	return out.Bytes()
}
