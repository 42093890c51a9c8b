package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"weir/api"
	"weir/emit"
)

// pointShown is what points show says of a point.
type pointShown struct {
	Name    string           `json:"name"`
	File    bool             `json:"file,omitempty"` // only a file was read, not who uses it
	Error   string           `json:"error,omitempty"`
	Entries []entryShown     `json:"entries"`
	Status  *api.PointStatus `json:"status,omitempty"` // by the weir that runs
}

type entryShown struct {
	Prefix   string    `json:"prefix,omitempty"`
	Target   string    `json:"target,omitempty"`   // of points that take every target
	Endpoint string    `json:"endpoint,omitempty"` // the pattern
	Action   string    `json:"action"`
	To       string    `json:"to,omitempty"`
	Until    time.Time `json:"until,omitzero"`
	ID       string    `json:"id,omitempty"`
}

func (e *environment) pointsShow(ctx context.Context, opt *pointsOptions) (err error) {
	if opt.setup {
		return e.pointsSetup(opt)
	}
	o, err := e.operator(opt.config)
	if err != nil {
		return err
	}
	_, points, err := o.openPoints(opt.name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closePoints(points)) }()
	p := &page{w: e.out}
	byName := map[string]*api.PointStatus{}
	st, err := o.client.Status(ctx)
	if err != nil && !errors.Is(err, api.ErrNotRunning) {
		return err
	}
	running := err == nil
	for i := range st.Points {
		byName[st.Points[i].Name] = &st.Points[i]
	}
	var all []pointShown
	failed := 0
	for _, pt := range points {
		s := showPoint(ctx, pt)
		s.File = pt.Capabilities().Unasked != ""
		s.Status = byName[s.Name]
		if s.Error != "" {
			failed++
		}
		all = append(all, s)
	}
	if opt.json {
		err = printJSON(e.out, all)
	} else {
		now := time.Now()
		for i := range all {
			printPoint(p, &all[i], running, opt.all, now)
		}
		err = p.err
	}
	if failed > 0 {
		return errors.Join(err, fmt.Errorf("%s could not be read", several(failed, "point")))
	}
	return err
}

// showPoint reads a point.
func showPoint(ctx context.Context, pt emit.Point) pointShown {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	s := pointShown{Name: pt.Name(), Entries: []entryShown{}}
	l, err := pt.Read(ctx)
	if err != nil {
		s.Error = err.Error()
		return s
	}
	patterns := map[string]string{}
	for _, ep := range pt.Capabilities().Endpoints {
		patterns[ep.ID] = ep.Pattern
	}
	for i := range l.Entries {
		en := &l.Entries[i]
		out := entryShown{Endpoint: cmp0(patterns[en.Endpoint], en.Endpoint), Action: en.Action.String(), To: en.To, Until: en.Until, ID: en.ID}
		switch {
		case en.Prefix.IsValid() && en.Prefix.IsSingleIP():
			out.Prefix = en.Prefix.Addr().String()
		case en.Prefix.IsValid():
			out.Prefix = en.Prefix.String()
		}
		if out.Prefix == "" && en.Decision != nil {
			out.Target = api.FormatTarget(en.Decision.Target)
		}
		s.Entries = append(s.Entries, out)
	}
	return s
}

func cmp0(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// fewEntries is how many entries of a point are shown that nobody asked for all of.
const fewEntries = 10

func printPoint(p *page, s *pointShown, running, all bool, now time.Time) {
	p.heading(shown(s.Name, 64))
	if s.Error != "" {
		p.wrapped("ERROR", 11, shown(s.Error, 600))
	} else {
		text := holdsText(s.Entries, now)
		if s.File {
			text = "in its file: " + text
		}
		p.wrapped("holds", 11, text)
	}
	switch {
	case s.Status != nil:
		p.wrapped("in force", 11, pointText(s.Status, now))
	case running:
		p.wrapped("in force", 11, "the weir that runs does not know this point; it was started with another configuration")
	default:
		p.wrapped("in force", 11, "weir is not running, nobody keeps this point as it should be; weir points reap does once")
	}
	var rows [][]string
	for i := range s.Entries {
		if !all && i == fewEntries {
			break
		}
		rows = append(rows, entryRow(&s.Entries[i], now))
	}
	p.table("llll", rows...)
	if more := len(s.Entries) - len(rows); more > 0 {
		p.line("  and %s more (--all)", count(int64(more)))
	}
}

// holdsText counts what a point holds, by action.
func holdsText(entries []entryShown, now time.Time) string {
	n, over := map[string]int{}, 0
	for i := range entries {
		if u := entries[i].Until; !u.IsZero() && !u.After(now) {
			over++
			continue
		}
		n[entries[i].Action]++
	}
	var parts []string
	for _, a := range slices.Sorted(maps.Keys(n)) {
		parts = append(parts, count(int64(n[a]))+" to "+cmp0(shown(a, 20), "repair, since it is no entry"))
	}
	if len(parts) == 0 {
		parts = []string{"nothing"}
	}
	text := strings.Join(parts, ", ")
	if over > 0 {
		text += fmt.Sprintf("; %s whose end has passed, which it does not enforce any more", several(over, "line"))
	}
	return text
}

func entryRow(en *entryShown, now time.Time) []string {
	until := "no end of its own"
	if !en.Until.IsZero() {
		until = "until " + dayText(en.Until, now)
		if !en.Until.After(now) {
			until = "over since " + dayText(en.Until, now)
		}
	}
	action := shown(en.Action, 20)
	if en.To != "" {
		action += " to " + shown(en.To, 20)
	}
	if en.Action == "" {
		return []string{"(no entry)", "", "", ""}
	}
	return []string{action, shown(cmp0(en.Prefix, en.Target), 60), until, shown(en.Endpoint, 60)}
}
