package api

import (
	"cmp"
	"slices"
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
	Spared    int               `json:"spared"` // targets that were unblocked: new decisions on them are held
	Late      uint64            `json:"late"`   // over when they were made
	Held      map[string]uint64 `json:"held"`   // by guard
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
		Decisions: []DecisionCount{}, Tripped: []Tripped{},
	}
	for action, n := range c.InForce {
		f.InForce[action.String()] = n
	}
	for guard, n := range c.Held {
		f.Held[string(guard)] = n
	}
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

// putLedger writes the ledger's figures.
func putLedger(put put, l *emit.Ledger) {
	c := l.Counts()
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
