package rules

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"weir/windows"
)

// Takeover says what a state keeps when a plan takes over from another layout.
type Takeover struct {
	At     time.Time
	Tables []TableTakeover
	Rules  []RuleTakeover // those that cannot yet see all that they ask for
}

// TableTakeover is what becomes of one table: of a series and its windows,
// "count where kind == "login" in 10m".
type TableTakeover struct {
	Key    string
	Keeps  []string
	Begins []Beginning
	Drops  []string
}

// Beginning is a series in a window that is not all there yet.
type Beginning struct {
	Series   string
	Complete time.Time
}

// RuleTakeover is a rule of which something is not all there yet.
type RuleTakeover struct {
	ID       string
	Complete time.Time
	Features []string // those that are not; none: only a condition, target or signal is not
}

// Takeover says what becomes of what a state kept under a layout, which the
// plan was made to inherit.
func (p *Plan) Takeover(old *windows.Layout) *Takeover {
	x := &Takeover{At: time.Unix(p.Layout.Began, 0).UTC()}
	was, now := tablesByName(old), tablesByName(&p.Layout)
	for i := range p.Layout.Tables {
		t := &p.Layout.Tables[i]
		tt := TableTakeover{Key: cmp.Or(t.Name, "(everything)")}
		had, has := seriesWindows(was[t.Name]), seriesWindows(t)
		for k := range t.Series {
			s := &t.Series[k]
			for n, w := range s.Windows {
				text := windowText(s, w)
				if from := s.Since[n] + int64(w); s.Since[n] > 0 && from > p.Layout.Began {
					tt.Begins = append(tt.Begins, Beginning{text, time.Unix(from, 0).UTC()})
				} else {
					tt.Keeps = append(tt.Keeps, text)
				}
			}
		}
		for _, text := range had.order {
			if !has.in[text] {
				tt.Drops = append(tt.Drops, text)
			}
		}
		x.Tables = append(x.Tables, tt)
	}
	for i := range old.Tables {
		if t := &old.Tables[i]; now[t.Name] == nil {
			x.Tables = append(x.Tables, TableTakeover{Key: cmp.Or(t.Name, "(everything)"), Drops: seriesWindows(t).order})
		}
	}
	for i, r := range p.Rules {
		from := p.Complete(i)
		if from <= p.Layout.Began {
			continue
		}
		rt := RuleTakeover{ID: r.ID, Complete: time.Unix(from, 0).UTC()}
		for n := range r.Features {
			if p.CompleteFeature(i, n) > p.Layout.Began {
				rt.Features = append(rt.Features, r.Features[n].Name)
			}
		}
		x.Rules = append(x.Rules, rt)
	}
	return x
}

func tablesByName(l *windows.Layout) map[string]*windows.Table {
	m := map[string]*windows.Table{}
	for i := range l.Tables {
		m[l.Tables[i].Name] = &l.Tables[i]
	}
	return m
}

// windowTexts are the series of a table in each of their windows.
type windowTexts struct {
	order []string
	in    map[string]bool
}

func seriesWindows(t *windows.Table) (x windowTexts) {
	x.in = map[string]bool{}
	if t == nil {
		return x
	}
	for i := range t.Series {
		for _, w := range t.Series[i].Windows {
			text := windowText(&t.Series[i], w)
			x.order, x.in[text] = append(x.order, text), true
		}
	}
	return x
}

func windowText(s *windows.Series, w windows.Window) string { return s.Name + " in " + windowName(w) }

// String writes it as people read it.
func (x *Takeover) String() string {
	var b strings.Builder
	for i := range x.Tables {
		t := &x.Tables[i]
		fmt.Fprintf(&b, "%s\n", t.Key)
		for _, s := range t.Keeps {
			fmt.Fprintf(&b, "  keeps   %s\n", s)
		}
		for _, s := range t.Begins {
			fmt.Fprintf(&b, "  begins  %s, complete from %s\n", s.Series, s.Complete.Format(time.RFC3339))
		}
		for _, s := range t.Drops {
			fmt.Fprintf(&b, "  drops   %s\n", s)
		}
	}
	for _, r := range x.Rules {
		what := "what its conditions ask for"
		if len(r.Features) > 0 {
			what = strings.Join(r.Features, ", ")
		}
		fmt.Fprintf(&b, "%s is complete from %s (%s)\n", r.ID, r.Complete.Format(time.RFC3339), what)
	}
	return b.String()
}
