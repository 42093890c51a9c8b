package score

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"weir/event"
	"weir/simulate"
)

func TestALedgerThatCannotBeUnderstoodIsNamedWithItsLine(t *testing.T) {
	good := decision(0, time.Hour, event.Block, "ip", "192.0.2.1")
	line := string(good.AppendJSON(nil))
	with := func(old, new string) string {
		if !strings.Contains(line, old) {
			t.Fatalf("%s is not in %s", old, line)
		}
		return strings.Replace(line, old, new, 1)
	}
	limit := decision(0, time.Hour, event.Limit, "ip", "192.0.2.1")
	limit.To = "10/1w"
	for _, c := range []struct{ line, must string }{
		{"{", "not a line of decisions.jsonl"},
		{`{"v":2,"event":"new"}`, "not a line of decisions.jsonl"},
		{`{"v":1,"event":"born"}`, `event "born" is none that a ledger has`},
		{`{"v":1,"event":"clock","seconds":7}`, "a replay's is needed"},
		{with(`"target":{"ip":"192.0.2.1"}`, `"target":{}`), "without a target"},
		{with(`"target":{"ip":"192.0.2.1"}`, `"target":{"ip":""}`), "ip is empty"},
		{with(`"target":{"ip":"192.0.2.1"}`, `"target":{"ip":"192.0.2.0/24"}`), "is a prefix"},
		{with(`"target":{"ip":"192.0.2.1"}`, `"target":{"ip":"192.0.2.1","ip":"192.0.2.2"}`), "is not in its place"},
		{with(`"target":{"ip":"192.0.2.1"}`, `"target":{"time":"1"}`), "is no field"},
		{with(`"target":{"ip":"192.0.2.1"}`, `"target":{"x.nobody":"1"}`), "is no field"},
		{with(`"key":{}`, `"except":"known(","key":{}`), "must be known(FIELD)"},
		{with(`"key":{}`, `"except":"known(time)","key":{}`), "must be known(FIELD)"},
		{line[:len(line)-9], "decision"},
		{line[:len(line)-1], "no end"},
		{line[:len(line)-1] + `,"at":7}`, "behind the decision"},
		{string(limit.AppendJSON(nil)), "must be a rate"},
		{`{"v":1,"event":"` + strings.Repeat("x", maxLine+1<<17), "longer than"},
	} {
		l := NewLedger(Reading{Key: event.FixedKey()})
		err := l.Read("decisions.jsonl", strings.NewReader(line+"\n"+c.line+"\n"))
		if err == nil || !strings.Contains(err.Error(), c.must) || !strings.HasPrefix(err.Error(), "decisions.jsonl: line 2: ") {
			t.Errorf("%.120s: %v, must name line 2 and say %q", c.line, err, c.must)
		}
	}
}

func TestLabelsAndLinesMustAgree(t *testing.T) {
	fresh := func() *rig {
		r := newRig(t, attack, honest)
		for i := range 3 {
			r.send(honest, time.Duration(i)*time.Second, request{ip: "192.0.2.1"})
		}
		return r
	}
	for name, c := range map[string]struct {
		spoil func(r *rig)
		must  string
	}{
		"too few":       {func(r *rig) { r.labels.Truncate(2 * len(honest+"\n")) }, "access.log: line 3: labels.txt.zst has only 2 lines"},
		"too many":      {func(r *rig) { r.labels.WriteString(attack + "\n") }, "labels.txt.zst: line 4: access.log has only 3 lines"},
		"unknown":       {func(r *rig) { r.labels.WriteString("honest/\x1b[2J\n") }, `labels.txt.zst: line 4: label "honest/\x1b[2J" is not in truth.json`},
		"unknown later": {func(r *rig) { r.send("nobody", time.Minute, request{ip: "192.0.2.1"}) }, `line 4: label "nobody"`},
		"long":          {func(r *rig) { r.labels.WriteString(strings.Repeat("y", 1<<17)) }, "line 4: longer than any label"},
		"truth":         {func(r *rig) { r.truth.Lines = 4 }, "access.log: 3 lines, truth.json says 4"},
		"twice":         {func(r *rig) { r.truth.Labels = append(r.truth.Labels, r.truth.Labels[0]) }, "stands twice"},
		"not zstd":      {func(r *rig) { r.plain = true }, "labels.txt.zst: line 1: "},
		"many labels": {func(r *rig) {
			for i := range maxLabels {
				r.truth.Labels = append(r.truth.Labels, simulate.Label{Name: fmt.Sprint("honest/", i)})
			}
		}, "must be at most 512"},
	} {
		r := fresh()
		c.spoil(r)
		if _, err := r.score(); err == nil || !strings.Contains(err.Error(), c.must) {
			t.Errorf("%s: %v, must say %q", name, err, c.must)
		}
	}
	if _, err := fresh().score(); err != nil {
		t.Errorf("what agrees: %v", err)
	}
}

func TestTheLimitOfShapesAndRules(t *testing.T) {
	l := NewLedger(Reading{Key: event.FixedKey()})
	for i := range maxRules {
		if n, err := l.rules.number(fmt.Sprint(i), "rules"); err != nil || int(n) != i {
			t.Fatalf("rule %d is number %d, %v", i, n, err)
		}
	}
	if _, err := l.rules.number("one more", "rules"); err == nil {
		t.Error("a rule above the limit is taken")
	}
	fields := []event.Field{}
	for f := event.FieldIP; f < event.FieldX0; f++ {
		fields = append(fields, f)
	}
	for i := range maxShapes {
		if _, err := l.shapeOf(fields[i/20 : i/20+1+i%20]); err != nil {
			t.Fatalf("shape %d: %v", i, err)
		}
	}
	if _, err := l.shapeOf(fields[30:35]); err == nil {
		t.Error("a shape above the limit is taken")
	}
}

func TestRatesAreForgottenAtTheLimit(t *testing.T) {
	b, err := newBuckets([]string{"1/1h"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range maxBuckets + 1 {
		if !b.room(uint64(i), 0, 0) {
			t.Fatalf("target %d has no room at first", i)
		}
		b.take(uint64(i), 0)
	}
	if b.shed != maxBuckets || len(b.of) != 1 {
		t.Errorf("%d forgotten, %d kept, must be %d and 1", b.shed, len(b.of), maxBuckets)
	}
}

func TestFailingAddressesAreForgotten(t *testing.T) {
	n := newNaive(5, 0)
	for i := range 4 * firstSweep {
		ev := event.Event{Time: int64(i) * int64(time.Second), Outcome: event.Failure}
		n.blocks(&ev, uint64(i+1))
	}
	if len(n.of) > firstSweep {
		t.Errorf("%d addresses are kept, must be at most %d", len(n.of), firstSweep)
	}
}

func TestAWeekOfCellsIsKeptAndNoMore(t *testing.T) {
	var h history
	for hour := range int64(1000) {
		h.add(1, hour, 1, 2)
		h.add(2, hour/2, 1, 0)
	}
	good, bad := h.sum(1, 999)
	if good != 168 || bad != 336 {
		t.Errorf("%d and %d in the week before, must be 168 and 336", good, bad)
	}
	if len(h.cells) > 2*173 {
		t.Errorf("%d cells for two values, must be at most a week's", len(h.cells))
	}
	h.add(1, 998, 5, 0) // late
	if good, _ := h.sum(1, 999); good != 173 {
		t.Errorf("a late one: %d, must be 173", good)
	}
}

// busy is a log on which everything happens.
func busy(t *testing.T, seed uint64) *rig {
	g := rand.New(rand.NewPCG(seed, 1))
	r := newRig(t, "attack/a/1", "attack/a/2", "attack/b/1", "honest/homes", "honest/office")
	actions := []event.Action{event.Block, event.Limit, event.Challenge, event.Deceive, event.Alert}
	for i := range 600 {
		l := r.truth.Labels[g.IntN(len(r.truth.Labels))].Name
		ip, status := g.IntN(12), 200
		if strings.HasPrefix(l, "attack") && g.IntN(8) > 0 {
			ip, status = 20+g.IntN(30), 401
		}
		r.send(l, time.Duration(i)*30*time.Second, request{ip: fmt.Sprint("192.0.2.", ip+1), user: fmt.Sprint("u", g.IntN(40)), print: fmt.Sprint("p", g.IntN(6)), status: status})
	}
	for range 160 {
		at, length := time.Duration(g.IntN(18000))*time.Second, time.Duration(g.IntN(7200))*time.Second
		d := decision(at, length, actions[g.IntN(len(actions))], "ip", fmt.Sprint("192.0.2.", 1+g.IntN(50)))
		if g.IntN(4) == 0 {
			d = decision(at, length, actions[g.IntN(len(actions))], "endpoint", "POST /login", "fingerprint", fmt.Sprint("p", g.IntN(6)))
		}
		d.Rule = fmt.Sprint("test.rule", g.IntN(4))
		if g.IntN(5) == 0 {
			d.Mode = event.Shadow
		}
		r.decide(d)
	}
	return r
}

func TestFiguresHangTogether(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		out := busy(t, rapid.Uint64().Draw(rt, "seed")).must()
		var requests int64
		check := func(p *Part) {
			for _, s := range p.Stopped {
				if s.Hits.Stopped()+s.Through != p.Requests || s.Hits.Stopped() < 0 || s.Through < 0 {
					rt.Fatalf("%s by %s: %d stopped, %d let through of %d", p.Label, s.By, s.Hits.Stopped(), s.Through, p.Requests)
				}
				if s.First != nil && (s.First.At.Before(p.From) || s.First.At.After(p.Until) || s.First.Through > s.Through) {
					rt.Fatalf("%s: first stop %v outside of %v to %v", p.Label, s.First, p.From, p.Until)
				}
				if (s.First == nil) != (s.Hits.Stopped() == 0) {
					rt.Fatalf("%s: first stop %v, stopped %d", p.Label, s.First, s.Hits.Stopped())
				}
			}
			m := p.Missed
			if m.Requests != p.Stopped[byWeir].Through || m.Never+m.RanOut+m.TooSoon+m.OnItsWay+m.Shadow+m.Held+m.Alert+m.Excepted+m.Within != m.Requests {
				rt.Fatalf("%s: missed %+v of %d", p.Label, m, p.Stopped[byWeir].Through)
			}
			if p.AddressBound > p.NetworkBound || p.AddressBound < 0 || p.NetworkBound > 1 {
				rt.Fatalf("%s: bounds %v and %v", p.Label, p.AddressBound, p.NetworkBound)
			}
		}
		for i := range out.Campaigns {
			c := &out.Campaigns[i]
			check(&c.Part)
			var sum Hits
			var all int64
			for j := range c.Phases {
				check(&c.Phases[j])
				sum.plus(&c.Phases[j].Stopped[byWeir].Hits)
				all += c.Phases[j].Requests
			}
			if sum != c.Stopped[byWeir].Hits || all != c.Requests {
				rt.Fatalf("%s: its phases make %+v of %d, it %+v of %d", c.Label, sum, all, c.Stopped[byWeir].Hits, c.Requests)
			}
			requests += c.Requests
		}
		for _, p := range append(out.Populations, *out.Honest) {
			for _, h := range p.Hurt {
				if h.Clean.Requests+h.Shared.Requests != p.Requests || h.Clean.Hits.Stopped()+h.Shared.Hits.Stopped() != h.Requests.Stopped() {
					rt.Fatalf("%s by %s: %+v and %+v are not %+v of %d", p.Label, h.By, h.Clean, h.Shared, h.Requests, p.Requests)
				}
				if h.Clean.Values+h.Shared.Values != p.Addresses || h.Accounts.Hard() > p.Accounts || h.Addresses.Hard() > p.Addresses {
					rt.Fatalf("%s by %s: more were hit than there are: %+v", p.Label, h.By, h)
				}
			}
		}
		if requests+out.Honest.Requests != out.Events {
			rt.Fatalf("%d and %d requests of %d", requests, out.Honest.Requests, out.Events)
		}
	})
}

func TestTheOrderOfTheLedgersLinesDoesNotMatter(t *testing.T) {
	score := func(r *rig) string {
		b, err := json.Marshal(r.must())
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for seed := range uint64(20) {
		r := busy(t, seed)
		one := r.must()
		must := score(r)
		lines := strings.SplitAfter(strings.TrimSuffix(r.ledger.String(), "\n"), "\n")
		lines[len(lines)-1] += "\n"
		rand.New(rand.NewPCG(seed, 2)).Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
		r.ledger.Reset()
		r.ledger.WriteString(strings.Join(lines, ""))
		if is := score(r); is != must {
			t.Fatalf("seed %d: another order, another score:\n%.600s\n%.600s", seed, must, is)
		}
		if one.Ledger.Enforced == 0 || one.Campaigns[0].Stopped[byWeir].Hits.Stopped() == 0 {
			t.Fatalf("seed %d: nothing was stopped", seed)
		}
	}
}

func TestThePageCarriesNothingOfALogIntoItsCode(t *testing.T) {
	evil := `</script><script>alert(1)</script><img src=x onerror=alert(2)>"'` + "\u2028" + `&lt;${alert(3)}`
	r := newRig(t, "attack/"+evil+"/"+evil, "honest/"+evil)
	for i := range r.truth.Labels {
		r.truth.Labels[i].Title = evil
	}
	r.truth.Scenario, r.truth.Variant = evil, evil
	// Labels that hold a slash have more parts; the campaign is what is before the first.
	r.send(r.truth.Labels[0].Name, time.Minute, request{ip: "192.0.2.1", print: evil})
	r.send(r.truth.Labels[1].Name, time.Minute, request{ip: "192.0.2.1", print: evil})
	d := decision(0, time.Hour, event.Block, "fingerprint", evil)
	d.Rule = evil
	r.decide(d)
	half := 0.5
	(&goalBuilder{r, evil}).add(&half, nil, 0)
	out := r.must()
	out.Why = []Nearest{{Label: evil, Rule: evil, Keys: []NearKey{{Key: evil, Values: evil, Lacks: []string{evil}}}}}
	var page bytes.Buffer
	if err := out.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	s := page.String()
	for _, bad := range []string{"<script>alert", "<img", "</script><"} {
		if strings.Contains(s, bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
	if n := strings.Count(s, "<script"); n != 2 {
		t.Errorf("%d scripts, must be 2", n)
	}
	if !strings.Contains(s, "&lt;/script&gt;&lt;script&gt;alert(1)") || !strings.Contains(s, `\u003c/script\u003e`) {
		t.Error("what was written is not shown")
	}
	_, data, _ := strings.Cut(s, `id="data">`)
	data, _, _ = strings.Cut(data, "</script>")
	if strings.Contains(data, "\u2028") {
		t.Error("the script holds what may end a line")
	}
	var back Timeline
	if err := json.Unmarshal([]byte(data), &back); err != nil || len(back.Lanes) != 2 || back.Rules[0].Rule != evil {
		t.Errorf("the script cannot read the timeline: %v", err)
	}
	var text bytes.Buffer
	m, err := Merge([]*Result{out})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.WriteMarkdown(&text); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text.String(), "<img") || strings.Contains(text.String(), "<script") {
		t.Error("the document holds a tag")
	}
}

func TestThePageNeedsNothingElse(t *testing.T) {
	var page bytes.Buffer
	if err := busy(t, 3).must().WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	s := page.String()
	for _, bad := range []string{"http:", "https:", "src=", "href=", "@import", "url(", "fetch(", "XMLHttp", "innerHTML", "ZgotmplZ"} {
		if strings.Contains(strings.NewReplacer(`"http://www.w3.org/2000/svg"`, "", "url(#plot)", "").Replace(s), bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
	for _, want := range []string{`default-src 'none'`, `lang="en"`, "<noscript>", "prefers-color-scheme:dark", "@media print", `scope="row"`, "honest/homes"} {
		if !strings.Contains(s, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}
