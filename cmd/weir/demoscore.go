package main

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"weir/event"
	"weir/ingest"
	"weir/internal/testkit"
)

// score compares decisions with what is known of a log: it reads the log once
// more and looks for each request whether a decision in force was about it.
type score struct {
	attacks []*attackScore
	honest  honestScore

	attacker map[netip.Addr]*attackScore
	shapes   []targetShape
	text     []byte
}

// attackScore is what became of one attack.
type attackScore struct {
	testkit.Attack
	found *demoDecision // the first that was about one of its requests; nil: none
	blow  *demoDecision // the first block that was
	// Its requests, by the strongest decision about each; those with none are
	// at event.NoAction.
	met [event.NumActions]int64
}

// honestScore is what became of everybody else.
type honestScore struct {
	requests  int64
	failures  int64 // log-ins and the like that failed
	addresses map[netip.Addr]bool
	met       [event.NumActions]map[netip.Addr]bool
}

// targetShape is all decisions whose targets have the same fields.
type targetShape struct {
	fields []event.Field
	by     map[string][]*demoDecision // by the values, each with a separator behind it
}

func newScore(truth *testkit.Truth, made []demoDecision) *score {
	s := &score{attacker: map[netip.Addr]*attackScore{}}
	s.honest.addresses = map[netip.Addr]bool{}
	for _, a := range truth.Attacks {
		as := &attackScore{Attack: a}
		s.attacks = append(s.attacks, as)
		for _, ip := range a.Addresses {
			s.attacker[netip.MustParseAddr(ip)] = as
		}
	}
	for i := range made {
		d := &made[i]
		var fields []event.Field
		for name := range d.Target {
			fields = append(fields, event.FieldByName(name))
		}
		slices.Sort(fields)
		at := slices.IndexFunc(s.shapes, func(t targetShape) bool { return slices.Equal(t.fields, fields) })
		if at < 0 {
			at = len(s.shapes)
			s.shapes = append(s.shapes, targetShape{fields, map[string][]*demoDecision{}})
		}
		var key strings.Builder
		for _, f := range fields {
			key.WriteString(d.Target[f.String()] + "\x00")
		}
		s.shapes[at].by[key.String()] = append(s.shapes[at].by[key.String()], d)
	}
	return s
}

// read scores every request of the log.
func (s *score) read(ctx context.Context, p *prepared) error {
	worker := p.tables.Worker(p.source.Enrich)
	var recs ingest.Records
	var batch event.Batch
	for {
		recs.Reset()
		batch.Reset()
		err := p.source.Read(ctx, 0, batchLines, &recs)
		for i := range recs.Len() {
			ev := batch.Next()
			if p.source.Decode(recs.Line(i), ev, &batch.Arena) != nil {
				batch.Drop() // the replay has counted it
			}
		}
		worker.Enrich(&batch)
		for i := range batch.Events {
			s.add(&batch.Events[i])
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *score) add(ev *event.Event) {
	first, worst := s.about(ev)
	a := s.attacker[ev.IP]
	if a == nil {
		h := &s.honest
		h.requests++
		if ev.Outcome == event.Failure {
			h.failures++
		}
		h.addresses[ev.IP] = true
		if h.met[worst] == nil {
			h.met[worst] = map[netip.Addr]bool{}
		}
		h.met[worst][ev.IP] = true
		return
	}
	a.met[worst]++
	if first != nil && (a.found == nil || first.Time.Before(a.found.Time)) {
		a.found = first
	}
	if worst == event.Block && a.blow == nil {
		a.blow = earliest(slices.DeleteFunc(s.inForce(ev), func(d *demoDecision) bool { return d.Would != event.Block.String() }))
	}
}

// about returns the first of the decisions in force about a request, and the
// strongest action of them. A decision's exception is passed over: who would
// have been spared is counted as hit.
func (s *score) about(ev *event.Event) (first *demoDecision, worst event.Action) {
	all := s.inForce(ev)
	for _, d := range all {
		act, _ := event.ActionByName(d.Would)
		if strength(act) > strength(worst) {
			worst = act
		}
	}
	return earliest(all), worst
}

// earliest returns the decision that was made first, of several the most severe.
func earliest(all []*demoDecision) (first *demoDecision) {
	for _, d := range all {
		if first == nil || d.Time.Before(first.Time) || d.Time.Equal(first.Time) && d.severity() > first.severity() {
			first = d
		}
	}
	return first
}

// strength orders actions by what they do to a client.
func strength(a event.Action) int {
	return slices.Index([]event.Action{event.NoAction, event.Alert, event.Limit, event.Challenge, event.Deceive, event.Block}, a)
}

func (s *score) inForce(ev *event.Event) (found []*demoDecision) {
	at := time.Unix(0, ev.Time)
	for i := range s.shapes {
		t := &s.shapes[i]
		s.text = s.text[:0]
		for _, f := range t.fields {
			s.text = append(ev.AppendText(s.text, f), 0)
		}
		for _, d := range t.by[string(s.text)] {
			if !at.Before(d.Time) && at.Before(d.Until) {
				found = append(found, d)
			}
		}
	}
	return found
}
