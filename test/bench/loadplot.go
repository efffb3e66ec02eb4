package main

import (
	"bytes"
	"fmt"
	"math"
)

// The picture's measures, in pixels.
const (
	plotLeft, plotRight = 300, 20
	panelWidth, gap     = 190, 40
	blockTop, rowHeight = 74, 24
	blockFoot           = 56
)

// A band is one row of panels: figures as changes in percent against nothing.
type band struct {
	title       string
	least, most float64 // of the axis; what is beyond is drawn at its end
	tick        float64
	series      []bandSeries
	from, rows  float64 // y of its top, and of its first row
	height      float64 // of all rows
}

// A bandSeries is one figure at one level.
type bandSeries struct {
	name, colour string
	level        float64
	figure       figure
}

// draw makes the picture of the comparison: throughput in closed loop, and median latency
// in open loop, of each subject beside each server.
func (c *comparison) draw() []byte {
	rows := float64(len(c.subjects)-1) * rowHeight
	bands := []*band{
		{title: "Throughput in closed loop, change in %", least: -40, most: 5, tick: 10, series: []bandSeries{{"closed loop", "#0969da", 0, rate}}},
		{title: "Median latency in open loop, change in %", least: -20, most: 60, tick: 20, series: []bandSeries{
			{"30 % of capacity", "#1a7f37", 0.3, quantile("p50")}, {"60 % of capacity", "#bc4c00", 0.6, quantile("p50")}}},
	}
	width := plotLeft + len(c.servers)*(panelWidth+gap) + plotRight
	height := float64(len(bands)) * (blockTop + rows + blockFoot)
	var out bytes.Buffer
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %[1]d %.0[2]f" font-family="sans-serif" font-size="12" fill="#24292f">
<title>What servers lose beside each subject</title>
<style>.title{font-size:15px;font-weight:bold}.grid{stroke:#d0d7de}.zero{stroke:#57606a}.interval{stroke-width:2}</style>
<rect width="%[1]d" height="%.0[2]f" fill="#ffffff"/>
`, width, height)
	for i, b := range bands {
		b.from, b.height = float64(i)*(blockTop+rows+blockFoot), rows
		b.rows = b.from + blockTop
		c.drawBand(&out, b)
	}
	out.WriteString("</svg>\n")
	return out.Bytes()
}

func (c *comparison) drawBand(out *bytes.Buffer, b *band) {
	text(out, plotLeft, b.from+26, "start", `class="title"`, b.title)
	at := float64(plotLeft)
	for _, s := range b.series {
		if len(b.series) > 1 {
			fmt.Fprintf(out, `<circle cx="%.0f" cy="%.0f" r="4" fill="%s"/>`+"\n", at+4, b.from+42, s.colour)
			text(out, at+14, b.from+46, "start", "", s.name)
		}
		at += 150
	}
	for i, subject := range c.subjects[1:] {
		text(out, plotLeft-10, b.row(i)+4, "end", "", subject)
	}
	for i, server := range c.servers {
		left := plotLeft + float64(i)*(panelWidth+gap)
		text(out, left+panelWidth/2, b.rows-6, "middle", `font-weight="bold"`, server)
		for v := b.least; v <= b.most; v += b.tick {
			class, label := "grid", fmt.Sprintf("%+.0f", v)
			if v == 0 {
				class, label = "zero", "0"
			}
			fmt.Fprintf(out, `<path class="%s" d="M%.1f %.1fV%.1f"/>`+"\n", class, b.x(left, v), b.rows, b.rows+b.height)
			text(out, b.x(left, v), b.rows+b.height+16, "middle", "", label)
		}
		for j, s := range b.series {
			for k, subject := range c.subjects[1:] {
				y := b.row(k) + 9*(float64(j)-float64(len(b.series)-1)/2)
				b.mark(out, left, y, s.colour, c.against(subject, cell{server, s.level}, s.figure, percent))
			}
		}
	}
}

// x is where a value is in a panel, y of row where a subject is.
func (b *band) x(left, v float64) float64 {
	return left + panelWidth*(math.Min(b.most, math.Max(b.least, v))-b.least)/(b.most-b.least)
}

func (b *band) row(i int) float64 { return b.rows + (float64(i)+0.5)*rowHeight }

// mark draws a median with its interval; one beyond the axis is an arrow with its value.
func (b *band) mark(out *bytes.Buffer, left, y float64, colour string, v change) {
	x := b.x(left, v.median)
	fmt.Fprintf(out, `<path class="interval" stroke="%s" d="M%.1f %.1fH%.1f"/>`+"\n", colour, b.x(left, v.low), y, b.x(left, v.high))
	inward, anchor := 1.0, "start" // from an end of the axis
	switch {
	case v.median > b.most:
		inward, anchor = -1, "end"
	case v.median >= b.least:
		fmt.Fprintf(out, `<circle cx="%.1f" cy="%.1f" r="4" fill="%s"/>`+"\n", x, y, colour)
		return
	}
	fmt.Fprintf(out, `<path fill="%s" d="M%.1f %.1fl%.0f -4v8z"/>`+"\n", colour, x, y, 8*inward)
	text(out, x+12*inward, y+4, anchor, `font-size="10"`, fmt.Sprintf("%+.0f", v.median))
}

func text(out *bytes.Buffer, x, y float64, anchor, more, words string) {
	fmt.Fprintf(out, `<text x="%.1f" y="%.1f" text-anchor="%s" %s>%s</text>`+"\n", x, y, anchor, more, words)
}
