package api

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"weir/emit"
	"weir/event"
)

// Force is what is in force and what is not, by the ledger.
type Force struct {
	Well      bool              `json:"well"`
	Stopped   *Stopped          `json:"stopped"`  // null: it is not
	InForce   map[string]int    `json:"in_force"` // by action
	Queued    int               `json:"queued"`
	Spared    int               `json:"spared"`  // targets that were unblocked: new decisions on them are held
	Late      uint64            `json:"late"`    // over when they were made
	Held      map[string]uint64 `json:"held"`    // by guard
	Allowed   []AllowedCount    `json:"allowed"` // those that hid most first, at most maxAllowed; all of them are Held by "allowed"
	Decisions []DecisionCount   `json:"decisions"`
	Tripped   []Tripped         `json:"tripped"`
}

// Stopped says who stopped all blocking.
type Stopped struct {
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
}

// Tripped is a rule whose breaker is open.
type Tripped struct {
	Rule   string    `json:"rule"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
}

// AllowedCount counts the decisions that an allow entry of the site file hid.
type AllowedCount struct {
	Entry string `json:"entry"`
	N     uint64 `json:"n"`
}

// maxAllowed is how many allow entries an answer names.
const maxAllowed = 100

// DecisionCount counts lines of the ledger since it was opened.
type DecisionCount struct {
	Rule string `json:"rule"`
	Step string `json:"step"`
	Mode string `json:"mode"`
	N    uint64 `json:"n"`
}

// ForceOf asks a ledger how it stands.
func ForceOf(l *emit.Ledger) Force {
	c := l.Counts()
	f := Force{
		Well: c.Well, InForce: map[string]int{}, Queued: c.Queue, Spared: len(l.Spared()), Late: c.Late, Held: map[string]uint64{},
		Allowed: []AllowedCount{}, Decisions: []DecisionCount{}, Tripped: []Tripped{},
	}
	for action, n := range c.InForce {
		f.InForce[action.String()] = n
	}
	for guard, n := range c.Held {
		f.Held[string(guard)] = n
	}
	for entry, n := range c.Allowed {
		f.Allowed = append(f.Allowed, AllowedCount{entry, n})
	}
	slices.SortFunc(f.Allowed, func(a, b AllowedCount) int { return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Entry, b.Entry)) })
	f.Allowed = f.Allowed[:min(len(f.Allowed), maxAllowed)]
	for k, n := range c.Decisions {
		f.Decisions = append(f.Decisions, DecisionCount{k.Rule, k.Step, k.Mode, n})
	}
	slices.SortFunc(f.Decisions, func(a, b DecisionCount) int {
		return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Step, b.Step), cmp.Compare(a.Mode, b.Mode))
	})
	for _, t := range l.Tripped() {
		f.Tripped = append(f.Tripped, Tripped{t.Rule, t.At.UTC(), t.Reason})
	}
	if s := l.Stopped(); s != nil {
		f.Stopped = &Stopped{s.At.UTC(), s.By, s.Reason}
	}
	return f
}

// maxEntryText is how much of an allow entry a label holds, in bytes.
const maxEntryText = 200

// putAllowed writes what allow entries hid: of those that come first in the site
// file each by itself, also where it hid nothing, so that none ever changes its
// place.
func putAllowed(put put, entries []string, hid map[string]uint64) {
	sums, rest := map[string]uint64{}, uint64(0)
	for _, entry := range entries {
		n, text := hid[entry], strings.ToValidUTF8(entry[:min(len(entry), maxEntryText)], "")
		if _, named := sums[text]; !named && len(sums) == maxReasons {
			rest += n
			continue
		}
		sums[text] += n
	}
	for text, n := range sums {
		put("weir_allowed_decisions_total", float64(n), text)
	}
	if len(entries) > maxReasons {
		put("weir_allowed_decisions_total", float64(rest), "other")
	}
}

// putLedger writes the ledger's figures.
func putLedger(put put, l *emit.Ledger, allow []string) {
	c := l.Counts()
	putAllowed(put, allow, c.Allowed)
	for k, n := range c.Decisions {
		put("weir_decisions_total", float64(n), k.Rule, k.Step, k.Mode)
	}
	for guard, n := range c.Held {
		put("weir_held_total", float64(n), string(guard))
	}
	for a := event.Block; a < event.Alert; a++ {
		put("weir_in_force", float64(c.InForce[a]), a.String())
	}
	put("weir_queued", float64(c.Queue))
	put("weir_late_decisions_total", float64(c.Late))
	put("weir_passed_decisions_total", float64(c.Passed))
	put("weir_ledger_well", one(c.Well))
	put("weir_ledger_lost_lines_total", float64(c.Lost))
	put("weir_ledger_lines_total", float64(c.Lines))
	put("weir_blocking_stopped", one(c.Stopped))
	for _, rule := range c.Tripped {
		put("weir_breaker_tripped", 1, rule)
	}
}
