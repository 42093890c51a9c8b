package rules

import (
	"fmt"
	"math"
	"testing"
)

// Numbers of what is asked must not wrap: a condition would stand for another.
func TestMoreQuestionsThanHaveNumbersAreRefused(t *testing.T) {
	for _, c := range []struct {
		n       int
		refused bool
	}{{math.MaxUint16 + 1, false}, {math.MaxUint16 + 2, true}} {
		p := &planner{Plan: &Plan{}}
		for i := range c.n {
			p.conds = append(p.conds, &EventCond{Text: fmt.Sprint(i)})
		}
		if p.planAsks(); (p.err != nil) != c.refused {
			t.Errorf("%d questions: error %v", c.n, p.err)
		}
	}
}
