package score

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"strings"
)

// The page and what is put into it: it needs nothing else, and asks nobody.
var (
	//go:embed page.html
	pageText string
	//go:embed page.css
	pageStyle string
	//go:embed page.js
	pageScript string
)

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"count": count, "percent": Percent, "seconds": Seconds, "plain": plain, "missed": func(m Missed) string { return MissedText(&m) }, "near": func(n Nearest) string { return NearestText(&n) },
	"width": width, "part": rowOf,
}).Parse(pageText))

// view is what the page's template sees.
type view struct {
	*Result
	Title    string
	Headline []headline
	Style    template.CSS
	Script   template.JS
	Data     template.JS // the timeline, for the script
}

// headline is one large figure.
type headline struct{ Figure, What, Class string }

// WriteHTML writes a page for a browser that needs no other file. Every text of
// a log is escaped: attackers write logs.
func (r *Result) WriteHTML(w io.Writer) error {
	t := r.Timeline
	if t == nil {
		t = &Timeline{}
	}
	data := struct {
		*Timeline
		Campaigns []laneGroup `json:"campaigns"`
		Honest    []string    `json:"honest"`
	}{t, r.laneGroups(), nil}
	for i := range r.Populations {
		data.Honest = append(data.Honest, r.Populations[i].Label)
	}
	b, err := json.Marshal(data) // escapes <, > and &, so that nothing in it ends the script
	if err != nil {
		return err
	}
	b = bytes.ReplaceAll(b, []byte("\u2028"), []byte(`\u2028`))
	return pageTemplate.Execute(w, view{
		Result: r, Title: Title(r), Headline: r.headlines(),
		Style: template.CSS(pageStyle), Script: template.JS(pageScript), Data: template.JS(b),
	})
}

// laneGroup is a campaign for the timeline.
type laneGroup struct {
	Name   string      `json:"name"`
	Phases []phaseLane `json:"phases"`
}

type phaseLane struct {
	Label  string  `json:"label"`
	Name   string  `json:"name"`
	From   float64 `json:"from"` // Unix seconds
	Until  float64 `json:"until"`
	First  float64 `json:"first"` // 0: never
	Ninety float64 `json:"ninety"`
}

func (r *Result) laneGroups() (out []laneGroup) {
	for i := range r.Campaigns {
		c := &r.Campaigns[i]
		g := laneGroup{Name: c.Campaign}
		for j := range c.Phases {
			p := &c.Phases[j]
			if p.Requests == 0 {
				continue
			}
			l := phaseLane{Label: p.Label, Name: plain(p.Label), From: float64(p.From.UnixNano()) / 1e9, Until: float64(p.Until.UnixNano()) / 1e9}
			if s := &p.Stopped[byWeir]; s.First != nil {
				l.First = float64(s.First.At.UnixNano()) / 1e9
				if s.Ninety != nil {
					l.Ninety = float64(s.Ninety.At.UnixNano()) / 1e9
				}
			}
			g.Phases = append(g.Phases, l)
		}
		out = append(out, g)
	}
	return out
}

// headlines are what one wants to know first.
func (r *Result) headlines() (out []headline) {
	var requests, stopped, naive int64
	var slowest *Reached
	never := 0
	for i := range r.Campaigns {
		c := &r.Campaigns[i]
		requests += c.Requests
		stopped += c.Stopped[byWeir].Hits.Stopped()
		naive += c.Stopped[byTen].Hits.Stopped()
		switch f := c.Stopped[byWeir].First; {
		case f == nil:
			never++
		case slowest == nil || f.After > slowest.After:
			slowest = f
		}
	}
	if requests > 0 {
		class := "good"
		if share(stopped, requests) < 0.9 {
			class = "bad"
		}
		out = append(out, headline{Percent(share(stopped, requests)), fmt.Sprintf("of %s attacking requests stopped", count(requests)), class})
		switch {
		case never > 0:
			out = append(out, headline{"never", fmt.Sprintf("stopped: %d of %d campaigns", never, len(r.Campaigns)), "bad"})
		case slowest != nil:
			out = append(out, headline{Seconds(slowest.After), "until the first stop" + ofSlowest(len(r.Campaigns)), ""})
		}
	}
	h := &r.Honest.Hurt[byWeir]
	class := "good"
	if h.BlockedShare > 0.0001 {
		class = "bad"
	}
	milder := ""
	if h.MilderShare > 0 {
		milder = ", " + Percent(h.MilderShare) + " challenged or limited"
	}
	out = append(out, headline{Percent(h.BlockedShare), fmt.Sprintf("of %s honest requests blocked%s", count(r.Honest.Requests), milder), class})
	if requests > 0 {
		out = append(out, headline{Percent(share(naive, requests)), "of the attack stopped by " + r.Campaigns[0].Stopped[byTen].By, "dim"})
	}
	return out
}

func ofSlowest(n int) string {
	if n == 1 {
		return ""
	}
	return fmt.Sprintf(" of the slowest of %d campaigns", n)
}

// partRow is a row of the table of attacks.
type partRow struct {
	Name  string
	Phase bool
	Part  Part
}

func rowOf(p Part, phase bool) partRow {
	if phase && p.Phase != "" {
		return partRow{p.Phase, true, p}
	}
	return partRow{plain(p.Label), phase, p}
}

// MilderShare is the share that was challenged or limited.
func (s *Stopped) MilderShare() float64 { return s.StoppedShare - s.BlockedShare }

// plain takes the kind of a label off.
func plain(label string) string {
	return strings.TrimPrefix(strings.TrimPrefix(label, "attack/"), "honest/")
}

// width is a share as the width of a bar; what is there is seen.
func width(share float64) template.CSS {
	if share > 0 {
		share = max(share, 0.004)
	}
	return template.CSS(fmt.Sprintf("width:%.2f%%", min(1, share)*100))
}
