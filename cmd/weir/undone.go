package main

import (
	"fmt"
	"slices"
	"strings"

	"weir/emit"
	"weir/event"
	"weir/rules"
)

// undone says what enforced rules ask for that none of the points can do: by an
// action that none takes, or of somebody whom those that take it cannot tell. Such
// a decision is written down, and nothing happens. Without points it says nothing.
func (g *engine) undone(points []emit.Point) (out []string) {
	if len(points) == 0 {
		return nil
	}
	for _, a := range []event.Action{event.Challenge, event.Limit, event.Block, event.Deceive} {
		takes := slices.DeleteFunc(slices.Clone(points), func(p emit.Point) bool {
			c := p.Capabilities()
			_, ok := c.Realises(a)
			return !ok
		})
		ids := g.asking(a, func(c *rules.Consequence) bool {
			var fields []string
			for _, f := range c.Dims {
				fields = append(fields, f.String())
			}
			return !slices.ContainsFunc(takes, func(p emit.Point) bool {
				can := p.Capabilities()
				return can.Tells(fields, c.Except != event.NoField)
			})
		})
		switch {
		case len(ids) == 0:
		case len(takes) == 0:
			out = append(out, fmt.Sprintf("no point takes %s: what %s for by it (%s) is only written down; where a proxy can do it, name it under actions: of its point (of a file, which takes one action, make a point of its own)", a, asking(len(ids)), someOf(ids)))
		default:
			out = append(out, fmt.Sprintf("no point can tell whom %s to %s (%s): a target without an address, or one that spares who is known, goes to Kafka topics only; elsewhere it is only written down", asking(len(ids)), a, someOf(ids)))
		}
	}
	return out
}

// asking lists the enforced rules that ask for an action in a way.
func (g *engine) asking(a event.Action, in func(c *rules.Consequence) bool) (ids []string) {
	for _, r := range g.plan.Rules {
		if g.stageOf(r) == event.Enforce && slices.ContainsFunc(r.Then, func(c rules.Consequence) bool { return c.Action == a && in(&c) }) {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

func asking(rules int) string {
	if rules == 1 {
		return "one rule asks"
	}
	return fmt.Sprintf("%d rules ask", rules)
}

// someOf lists a few names, and how many there are besides.
func someOf(ids []string) string {
	const few = 3
	if len(ids) <= few {
		return strings.Join(ids, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(ids[:few], ", "), len(ids)-few)
}
