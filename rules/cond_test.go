package rules

import (
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"

	"weir/event"
)

func mustEvent(t testing.TB, text string) *EventCond {
	e, err := CompileEvent(text, testOptions)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return e
}

func TestEventConditions(t *testing.T) {
	ev := &event.Event{}
	ev.Reset()
	ev.IP = netip.MustParseAddr("203.0.113.7")
	ev.Status, ev.Kind, ev.Outcome, ev.Path = 404, event.Login, event.Failure, "/a/b.php"
	ev.X[1], ev.Fingerprint, ev.Refused = "gold", "f1", event.Block
	six := &event.Event{IP: netip.MustParseAddr("2001:db8:1:2::")}
	for _, c := range []struct {
		text string
		ev   *event.Event
		want bool
	}{
		{`ip == "203.0.113.7" and net == "203.0.113.0/24"`, ev, true},
		{`ip == "203.0.113.8" or net == "203.0.112.0/24"`, ev, false},
		{`ip in ["192.0.2.1", "2001:db8:1:2::/64"]`, six, true},
		{`net == "2001:db8:1::/48" and ip != ""`, six, true},
		{`ip == ""`, &event.Event{}, true},
		{`inside(ip, "203.0.112.0/23") and not inside(ip, "203.0.112.0/24")`, ev, true},
		{`inside(ip, "2001:db8::/32")`, six, true},
		{`actor == "~f1~203.0.113.7"`, ev, true},
		{`actor == ""`, &event.Event{}, true},
		{`x.plan == "gold" and x.tenant == ""`, ev, true},
		{`path endsWith ".php" and path startsWith "/a" and path contains "b" and not (path contains "c")`, ev, true},
		{`path matches "^/a/[a-z]+[.]php$"`, ev, true},
		{`kind in ["login", "reset"] and outcome != "success" and refused == "block"`, ev, true},
		{`status in 400..499 and status not in [401, 403] and status % 100 == 4`, ev, true},
		{`400 < status < 405`, ev, true},
		{`status / 2 == 202 and -status < 0 and status - 4 == 400 and status * 2 == 808 and status + 1 > 404`, ev, true},
		{`deprecated == false and not deprecated and deprecated != true`, ev, true},
		{`lookup("office", ip)`, ev, true},
		{`lookup("disposable_mail", ip)`, ev, false},
		{`lookup("office", path)`, &event.Event{}, false},
		{`"" == credential and (true or false)`, ev, true},
		// What is undefined makes the whole condition false, if it is read.
		{`bytes >= 0`, ev, false},
		{`not (bytes >= 0)`, ev, false},
		{`bytes >= 0 or status == 404`, ev, false},
		{`status == 404 or bytes >= 0`, ev, true},
		{`status == 404 and not (path == "/x" and bytes >= 0)`, ev, true},
		{`known(ip) or true`, ev, false},
		{`not seen(ip)`, ev, false},
		{`not denied(ip)`, ev, false},
		{`status / (status - 404) > 0 or true`, ev, false},
		{`status % (status - 404) > 0 or true`, ev, false},
		{`asn != 64500`, ev, false},
	} {
		st := &Facts{Lookups: map[string]func(string) bool{
			"office":          func(v string) bool { return v == "203.0.113.7" || v == "" },
			"disposable_mail": func(v string) bool { return v == "a" },
		}}
		e := mustEvent(t, c.text)
		if got := e.Match(c.ev, st); got != c.want {
			t.Errorf("%s: %v, want %v", c.text, got, c.want)
		}
		if got := vmMatch(e.tree)(c.ev, st); got != c.want {
			t.Errorf("%s: the machine says %v, want %v", c.text, got, c.want)
		}
	}
}

func TestAnUndefinedValueIsForgottenByTheNextCondition(t *testing.T) {
	ev, st := &event.Event{Status: 200, Bytes: -1}, &Facts{}
	for range 2 {
		if mustEvent(t, `bytes > 0`).Match(ev, st) || !mustEvent(t, `status == 200`).Match(ev, st) {
			t.Error("an undefined value outlives its condition")
		}
	}
}

func TestConditionsWithoutFactsCanBeAsked(t *testing.T) {
	ev := &event.Event{Status: 200}
	for text, want := range map[string]bool{`status == 200`: true, `known(ip)`: false, `lookup("office", path)`: false, `actor == ""`: true, `path == ""`: true} {
		if got := mustEvent(t, text).Match(ev, nil); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

func TestSpellingsOfACondition(t *testing.T) {
	for _, spellings := range [][]string{
		{`kind == "login" and status > 400`, `(kind=='login')&&400<status`, "kind in [`login`] and (status > 400)", `true and kind == "login" and status > 4e2`},
		{`not (a == "x")`, `a != "x"`, `!(a in ["x"])`, `a not in ["x", "x"]`},
		{`status in [401, 403]`, `status in [403, 401, 403.0]`},
		{`status not in 400..499`, `not (status in 400..499)`},
		{`deprecated`, `deprecated == true`, `not not deprecated`, `deprecated != false`, `deprecated and deprecated`},
		{`a == "" or b == "" or deprecated`, `(a == "" or b == "") || deprecated`, `a == "" || (b == "" || deprecated)`},
		{`a == "" and b == "" or deprecated`, `(a == "" and b == "") or deprecated`},
	} {
		var texts []string
		for _, s := range spellings {
			s = strings.NewReplacer("a ", "path ", "b ", "query ").Replace(s)
			texts = append(texts, mustEvent(t, s).Text)
		}
		if slices.ContainsFunc(texts, func(s string) bool { return s != texts[0] }) {
			t.Errorf("%q: not all the same: %q", spellings, texts)
		}
	}
	if a, b := mustEvent(t, `path == "" and (query == "" or deprecated)`), mustEvent(t, `path == "" and query == "" or deprecated`); a.Text == b.Text {
		t.Errorf("two conditions are both %s", a.Text)
	}
}

func TestCanonicalTextHasOnlyTheParenthesesThatItNeeds(t *testing.T) {
	for text, want := range map[string]string{
		`(status - 1) - 2 > 0`:                                `status - 1 - 2 > 0`,
		`status - (1 - 2) > (0)`:                              `status - (1 - 2) > 0`,
		`(status * 2) / 3 + (1) > 0`:                          `status * 2 / 3 + 1 > 0`,
		`status * (2 + 3) > 0`:                                `status * (2 + 3) > 0`,
		`-(status + 1) < -1`:                                  `-(status + 1) < -1`,
		`not (status > 1)`:                                    `not (status > 1)`,
		`not (known(ip))`:                                     `not known(ip)`,
		`((path == "a") or (path == "b")) and deprecated`:     `(path == "a" or path == "b") and deprecated`,
		`(path == "a") or ((path == "b") and not deprecated)`: `path == "a" or path == "b" and not deprecated`,
		`not (path startsWith "a")`:                           `path not startsWith "a"`,
		`"\u00e4\n" == path`:                                  `path == "ä\n"`,
	} {
		if got := mustEvent(t, text).Text; got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestKindsThatAConditionImplies(t *testing.T) {
	const login, reset = 1 << event.Login, 1 << event.Reset
	for text, want := range map[string]uint32{
		`true`:                             allKinds,
		`status == 200`:                    allKinds,
		`kind == "login"`:                  login,
		`kind == ""`:                       1 << event.NoKind,
		`kind in ["login", "reset"]`:       login | reset,
		`kind == "login" and status > 400`: login,
		`kind == "login" or status > 400`:  allKinds,
		`kind == "login" or kind == "reset" and path != ""`: login | reset,
		`kind != "login"`:                        allKinds &^ login,
		`not (kind != "login" or status == 200)`: login,
		`kind == "login" and kind == "reset"`:    0,
		`false`:                                  0,
		`kind in ["login", "reset"] and not (kind == "reset")`: login,
		`(kind == "login") == deprecated`:                      allKinds,
	} {
		if got := mustEvent(t, text).Kinds; got != want {
			t.Errorf("%s: %#x, want %#x", text, got, want)
		}
	}
}

func TestAndJoinsConditions(t *testing.T) {
	a, b := mustEvent(t, `kind == "login" and known(ip)`), mustEvent(t, `status == 401 or seen(session)`)
	if And(nil, a) != a || And(a, nil) != a || And(nil, nil) != nil {
		t.Error("nil says something")
	}
	both := And(a, b)
	if want := mustEvent(t, `kind == "login" and known(ip) and (status == 401 or seen(session))`); both.Text != want.Text {
		t.Errorf("%s, want %s", both.Text, want.Text)
	}
	if len(both.Conjuncts) != 3 || both.Kinds != 1<<event.Login ||
		!slices.Equal(both.Fields, []event.Field{event.FieldIP, event.FieldKind, event.FieldStatus, event.FieldSession}) ||
		!slices.Equal(both.Standing[Known], []event.Field{event.FieldIP}) || !slices.Equal(both.Standing[Seen], []event.Field{event.FieldSession}) {
		t.Errorf("%+v", both)
	}
	if got := And(mustEvent(t, "true"), a); got.Text != a.Text {
		t.Errorf("true and %s is %s", a.Text, got.Text)
	}
	if got := And(a, a); got.Text != a.Text {
		t.Errorf("twice %s is %s", a.Text, got.Text)
	}
}

func TestFaultsOfALooseCondition(t *testing.T) {
	_, err := CompileEvent("status == 401 and\n  kynd == \"login\" or pathh == 1", testOptions)
	want := "2:3: unknown name kynd (did you mean kind?)\n |   kynd == \"login\" or pathh == 1\n |   ^\n" +
		"2:22: unknown name pathh (did you mean path?)\n |   kynd == \"login\" or pathh == 1\n |                      ^"
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
	for _, text := range []string{"", "  ", strings.Repeat("!", 1<<20), strings.Repeat("(", 1<<20), "\xff"} {
		if _, err := CompileEvent(text, testOptions); err == nil {
			t.Errorf("%.10q of %d bytes: no error", text, len(text))
		}
	}
	if _, err := CompileEvent(strings.Repeat("!", MaxSource-10)+"deprecated", testOptions); err == nil || !strings.Contains(err.Error(), "more than 500 parts") {
		t.Errorf("4 KiB of !: %.100v", err)
	}
}

func TestHugePatternsAreRefusedBeforeTheyAreWrittenOut(t *testing.T) {
	text := `path matches "` + strings.Repeat("[a-z]{1000}", 300) + `"`
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := CompileEvent(text, testOptions)
	runtime.ReadMemStats(&after)
	if err == nil || !strings.Contains(err.Error(), "more than 250 instructions") {
		t.Errorf("%v", err)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
		t.Errorf("allocated %d bytes", n)
	}
}

func TestFeaturesAreReadOnlyWhenTheyMatter(t *testing.T) {
	var read []int
	values := []float64{1, 30, 0}
	env := &Env{Read: func(i int) float64 { read = append(read, i); return values[i] }}
	if compileCond(t, "a > 5 and b > 5").Eval(env) || !slices.Equal(read, []int{0}) {
		t.Errorf("read %v", read)
	}
	if c := compileCond(t, `b >= 20 and b / c < 1 or clean`); c.Eval(env) || !c.Target {
		t.Error("a division by zero is not undefined")
	}
	env.Clean = true
	if compileCond(t, `b / c < 1 or clean`).Eval(env) {
		t.Error("what follows an undefined value counts")
	}
	if !compileCond(t, `clean or b / c < 1`).Eval(env) {
		t.Error("an undefined value counts that was not read")
	}
}

var hotEvent = func() *event.Event {
	ev := &event.Event{Status: 401, Bytes: 512, Kind: event.Login, Outcome: event.Failure, Endpoint: "POST /login"}
	ev.IP = netip.MustParseAddr("203.0.113.7")
	ev.AgentKind, ev.Agent, ev.Path = "browser", "Mozilla/5.0 (X11; Linux x86_64)", "/wp-login.php"
	return ev
}()

var hotConditions = []string{
	`kind == "login"`,
	`kind == "login" and outcome == "failure"`,
	`status == 401`,
	`status in [401, 403]`,
	`status >= 400 and status < 500`,
	`endpoint == "POST /login"`,
	`endpoint in ["POST /a", "POST /login"]`,
	`path endsWith ".php"`,
	`agent contains "Linux"`,
	`ip == "203.0.113.7"`,
	`inside(ip, "203.0.113.0/24")`,
	`actor != "~x"`,
	`lookup("office", ip)`,
	`not known(ip)`,
	`path matches "^/wp-[a-z]+[.]php$"`,
	`kind == "login" and not (agent_kind == "bot") and (status == 401 or status == 403)`,
	`(status == 401) == (kind == "login")`,
}

var hotFacts = func() *Facts {
	st := &Facts{Lookups: map[string]func(string) bool{"office": func(s string) bool { return s == "203.0.113.7" }}}
	st.Standing = NewStanding(true, func(ev *event.Event, f event.Field) (uint64, bool) { return 5, true })
	return st
}()

func TestEventConditionsDoNotAllocate(t *testing.T) {
	ev, st := *hotEvent, *hotFacts
	ev.Session = "s" // an actor that has to be formed is the event's business
	for _, text := range hotConditions[:len(hotConditions)-1] {
		e := mustEvent(t, text)
		if !e.Match(&ev, &st) {
			t.Errorf("%s does not hold", text)
		}
		if n := testing.AllocsPerRun(100, func() { e.Match(&ev, &st) }); n != 0 {
			t.Errorf("%s: %v allocations", text, n)
		}
	}
	c := compileCond(t, `a >= 20 and b / c > 0.8 and not clean`)
	env := &Env{Read: func(i int) float64 { return 100 }}
	if n := testing.AllocsPerRun(100, func() { c.Eval(env) }); n != 0 || !c.Eval(env) {
		t.Errorf("%s: %v allocations", c.Text, n)
	}
}

func BenchmarkEventCond(b *testing.B) {
	for _, text := range hotConditions {
		b.Run(text, func(b *testing.B) {
			e := mustEvent(b, text)
			b.ReportAllocs()
			for b.Loop() {
				e.Match(hotEvent, hotFacts)
			}
		})
	}
}

func BenchmarkCond(b *testing.B) {
	values := []float64{100, 90, 100}
	env := &Env{Read: func(i int) float64 { return values[i] }}
	for _, text := range []string{"a >= 20 and b >= 0.9", "a > 20 and b / c > 0.8 and c > 10", "(a > 20) == (b > 20)"} {
		c := compileCond(b, text)
		b.Run("closures/"+text, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Eval(env)
			}
		})
		machine := vmEval(c.tree)
		b.Run("machine/"+text, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				machine(env)
			}
		})
	}
}
