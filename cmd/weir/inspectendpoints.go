package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"weir/enrich"
	"weir/event"
)

// The limits on endpoints: how many are counted, how many are shown at least
// and at most, and how many answers of each.
const (
	maxEndpoints   = 5_000
	topEndpoints   = 30
	shownEndpoints = 80
	maxAnswers     = 8
)

// endpointTally counts the requests of each endpoint.
type endpointTally struct {
	by       map[endpointKey]*oneEndpoint
	other    int64 // requests of endpoints beyond the limit
	kinds    uint32
	outcomes [3]int64
	events   int64
	tries    int64 // events of kinds that try something
}

// endpointKey is an endpoint and what it was used for: a query may tell a
// log-in from a sign-up.
type endpointKey struct {
	name string
	kind event.Kind
}

type oneEndpoint struct {
	endpointKey
	n          int64
	found      int64 // of them, answered as if there were such a page
	outcomes   [3]int64
	deprecated bool
	item       string // an example
	explained  enrich.Explanation
	answers    [maxAnswers]answer
}

// answer is a status and what came of the requests that got it.
type answer struct {
	status   int32
	outcomes [3]int64
}

func newEndpointTally() endpointTally {
	return endpointTally{by: map[endpointKey]*oneEndpoint{}}
}

// tryKinds are the kinds of endpoints at which something succeeds or fails.
const tryKinds = 1<<event.Login | 1<<event.Signup | 1<<event.Reset | 1<<event.Checkout | 1<<event.Transfer |
	1<<event.Giftcard | 1<<event.Balance

func (t *endpointTally) add(ev *event.Event, w *enrich.Worker) {
	t.events++
	t.kinds |= 1 << ev.Kind
	t.outcomes[ev.Outcome]++
	if tryKinds>>ev.Kind&1 == 1 {
		t.tries++
	}
	if ev.Endpoint == "" {
		return
	}
	e := t.by[endpointKey{ev.Endpoint, ev.Kind}]
	if e == nil {
		if len(t.by) >= maxEndpoints {
			t.other++
			return
		}
		e = &oneEndpoint{endpointKey: endpointKey{strings.Clone(ev.Endpoint), ev.Kind}}
		e.explained = w.Explain(ev)
		t.by[e.endpointKey] = e
	}
	e.n++
	if ev.Status != 404 && ev.Status != 410 && ev.Status != 400 {
		e.found++
	}
	if e.outcomes[ev.Outcome]++; e.outcomes[ev.Outcome] == 1 && e.explained.Outcome == "" {
		e.explained.Outcome = w.Explain(ev).Outcome
	}
	e.deprecated = e.deprecated || ev.Deprecated
	if e.item == "" && ev.Item != "" {
		e.item = strings.Clone(ev.Item)
	}
	for i := range e.answers {
		a := &e.answers[i]
		if a.status == 0 {
			a.status = ev.Status
		}
		if a.status == ev.Status {
			a.outcomes[ev.Outcome]++
			break
		}
	}
}

// endpointsFacts is what is known of a site's endpoints.
type endpointsFacts struct {
	Different int             `json:"different"`
	More      bool            `json:"and_more,omitempty"`
	Other     int64           `json:"requests_of_more,omitempty"`
	Success   int64           `json:"successes"`
	Failure   int64           `json:"failures"`
	Tries     int64           `json:"requests_that_try"` // of kinds that have an outcome
	Shown     []endpointFacts `json:"endpoints"`
}

type endpointFacts struct {
	Endpoint   string       `json:"endpoint"`
	Requests   int64        `json:"requests"`
	Kind       string       `json:"kind"`
	Success    int64        `json:"success"`
	Failure    int64        `json:"failure"`
	None       int64        `json:"no_outcome"`
	Deprecated bool         `json:"deprecated"`
	Item       string       `json:"item,omitempty"`
	From       explainFacts `json:"from"`
	Answers    []answerFact `json:"answers,omitempty"` // where something is tried
	Doubt      string       `json:"doubt,omitempty"`   // why what was guessed of them is likely wrong
}

type explainFacts struct {
	Endpoint string `json:"endpoint"`
	Kind     string `json:"kind,omitempty"`
	Outcome  string `json:"outcome,omitempty"`
}

type answerFact struct {
	Status  int32  `json:"status"`
	Outcome string `json:"outcome"`
	N       int64  `json:"requests"`
}

// sorted returns the endpoints, the most asked for first.
func (t *endpointTally) sorted() []*oneEndpoint {
	all := make([]*oneEndpoint, 0, len(t.by))
	for _, e := range t.by {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *oneEndpoint) int {
		return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.name, b.name), cmp.Compare(a.kind, b.kind))
	})
	return all
}

func (t *endpointTally) result() endpointsFacts {
	f := endpointsFacts{
		Different: len(t.by), More: t.other > 0, Other: t.other, Tries: t.tries,
		Success: t.outcomes[event.Success], Failure: t.outcomes[event.Failure],
	}
	for i, e := range t.sorted() {
		if i >= topEndpoints && (!t.matters(e) || len(f.Shown) >= shownEndpoints) {
			continue
		}
		f.Shown = append(f.Shown, e.facts(t.matters(e)))
	}
	return f
}

// matters reports whether rules look at the endpoint by its kind, and it is
// there: scanners ask for a thousand log-ins that no site has.
func (t *endpointTally) matters(e *oneEndpoint) bool {
	if e.kind == event.NoKind || e.kind == event.Asset || e.kind == event.Health || e.found*10 < e.n {
		return false
	}
	if tryKinds>>e.kind&1 == 1 {
		return e.n*100_000 >= t.events
	}
	return e.n*20_000 >= t.events
}

func (e *oneEndpoint) facts(matters bool) endpointFacts {
	f := endpointFacts{
		Endpoint: e.name, Requests: e.n, Kind: e.kind.String(), Deprecated: e.deprecated, Item: e.item, From: explainFacts(e.explained),
		Success: e.outcomes[event.Success], Failure: e.outcomes[event.Failure], None: e.outcomes[event.NoOutcome],
	}
	if tryKinds>>e.kind&1 == 0 || !matters {
		return f
	}
	f.Answers = e.answered()
	if form, _ := e.formAgain(); form > 0 {
		f.Doubt = fmt.Sprintf("of %s hardly anybody fails: is %d the form again, with a word about the password? Then say failure: status == %d in the site file; until then no rule sees a wrong password",
			count(e.n), form, form)
	}
	return f
}

// answered returns how often the endpoint gave which answer, the most frequent first.
func (e *oneEndpoint) answered() (all []answerFact) {
	for _, a := range e.answers {
		for o, n := range a.outcomes {
			if n > 0 {
				all = append(all, answerFact{a.status, event.Outcome(o).String(), n})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b answerFact) int { return cmp.Compare(b.N, a.N) })
	return all
}

// formAgain returns the answer of a log-in that was likely taken for what it is not:
// people mistype one password in ten, so where in a hundred tries not two did and
// the log-in has two answers, one of them is the form again. It is 0 where there is no
// doubt, and sure where who gets in is led on in one try of ten or more: fewer redirects
// may be something else.
func (e *oneEndpoint) formAgain() (status int32, sure bool) {
	right := e.outcomes[event.Success]
	if e.kind != event.Login || right < 100 || e.outcomes[event.Failure]*50 >= right || !strings.HasPrefix(e.explained.Outcome, "guessed") {
		return 0, false
	}
	var form, redirect answerFact
	for _, a := range e.answered() {
		switch {
		case a.N*50 < e.n:
		case a.Status/100 == 2 && form.N == 0:
			form = a
		case a.Status/100 == 3 && redirect.N == 0:
			redirect = a
		}
	}
	if form.N == 0 || redirect.N == 0 {
		return 0, false
	}
	return form.Status, redirect.N*10 >= e.n
}
