package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"weir/emit"
	"weir/pipeline"
)

// enforcement applies what a replay's ledger has in force to the events that
// come after; nil where nobody asked for that.
func (p *prepared) enforcement(asked bool, ledger *replayLedger) *pipeline.Enforcement {
	if !asked {
		return nil
	}
	disorder := time.Duration(0)
	for i := range p.sources {
		disorder = max(disorder, p.sources[i].Disorder)
	}
	version := uint64(0)
	return pipeline.NewEnforcement(pipeline.EnforceConfig{
		Disorder: disorder,
		InForce: func() ([]pipeline.Applied, bool) {
			force := ledger.ledger.InForce()
			if force.Version == version {
				return nil, false
			}
			version = force.Version
			return appliedOf(force), true
		},
	})
}

// appliedOf returns a ledger's entries as an Enforcement takes them.
func appliedOf(force *emit.Force) []pipeline.Applied {
	out := make([]pipeline.Applied, len(force.Entries))
	for i, e := range force.Entries {
		d := &e.Decision
		out[i] = pipeline.Applied{
			ID: cmp.Or(d.Renews, d.ID), Rule: d.Rule, Target: d.Target, Action: e.Action, Except: d.Except, To: d.To, Until: e.Until,
		}
	}
	return out
}

// enforcedText says in a line what was refused, by rule.
func enforcedText(e *pipeline.Enforced) string {
	return cmp.Or(actionsText(e.Refused), "nothing was refused")
}

// actionsText writes how often each was met by which action; nothing where none was.
func actionsText[A cmp.Ordered](by map[string]map[A]int64) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(by)) {
		var of []string
		for _, action := range slices.Sorted(maps.Keys(by[name])) {
			of = append(of, fmt.Sprintf("%v %s", action, count(by[name][action])))
		}
		all = append(all, name+" "+strings.Join(of, ", "))
	}
	return strings.Join(all, "; ")
}
