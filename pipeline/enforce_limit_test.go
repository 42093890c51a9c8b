package pipeline

import (
	"fmt"
	"testing"
	"time"

	"weir/event"
	"weir/rules"
)

// What has no room costs no more than what has: entries that are over are looked
// for once for each list.
func TestEntriesBeyondTheLimitOfAnEnforcementCostLittle(t *testing.T) {
	const limit, minute = 1 << 14, int64(1_772_791_200)
	plan, err := rules.NewPlan(nil, event.FixedKey(), rules.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	e := NewEnforcement(EnforceConfig{Limit: limit})
	e.readBy(plan)
	hold := func(minute, from, until int64) time.Duration {
		began := time.Now()
		for i := from; i < until; i++ {
			e.hold(minute, &Applied{
				ID: fmt.Sprint(i), Rule: "own.rule", Action: event.Block, Until: time.Unix(minute+100, 0),
				Target: event.Target{{Field: "ip", Text: fmt.Sprintf("192.0.%d.%d", i>>8&255, i&255)}},
			})
		}
		return time.Since(began)
	}
	room := hold(minute, 0, limit)
	none := hold(minute, limit, 2*limit)
	if len(e.held) != limit || e.unheld != limit {
		t.Fatalf("%d entries held and %d not, must be %d each", len(e.held), e.unheld, limit)
	}
	if none > 10*room+time.Second {
		t.Errorf("%v for as many entries as took %v with room", none, room)
	}
	if hold(minute+180, 2*limit, 2*limit+10); len(e.held) != 10 {
		t.Errorf("%d entries held when all others are over, must be 10", len(e.held))
	}
}
