package simulate

import (
	"strings"
	"sync"
	"testing"
	"time"
)

// quietWeek is a week without attacks, which several tests look at.
func quietWeek(t *testing.T) []logLine {
	t.Helper()
	once.Do(func() { week, _ = play(t, load(t, "quiet", "days=7"), Options{Seed: 4, Scale: 0.025}) })
	if len(week) == 0 {
		t.Fatal("the week could not be made up")
	}
	return week
}

var (
	once sync.Once
	week []logLine
)

func TestHonestPeopleLookLikePeople(t *testing.T) {
	lines := quietWeek(t)
	for label, limits := range map[string][2]float64{
		"honest/homes": {0.08, 0.15}, "honest/homes_ipv6": {0.07, 0.16}, "honest/app": {0.06, 0.15}, "honest/nat": {0.08, 0.17},
		"honest/office": {0.03, 0.14}, "honest/forgetful": {0.5, 0.9}, "honest/stale_app": {0.99, 1}, "honest/login_monitor": {0, 0.01},
		"honest/aggregator": {0.01, 0.05},
	} {
		within(t, label+": log-ins that fail", failing(logins(only(t, lines, label))), limits[0], limits[1])
	}
	homes := only(t, lines, "honest/homes")
	assets := 0
	for _, l := range homes {
		if l.asset() {
			assets++
		}
	}
	within(t, "assets of people's requests", float64(assets)/float64(len(homes)), 0.35, 0.65)
	sessions := counted(homes, bySession)
	within(t, "requests of half of the visits", float64(quantileOf(sessions, 0.5)), 5, 14)
	within(t, "requests of a long visit", float64(quantileOf(sessions, 0.95)), 20, 60)
	week := counted(homes, byAddr)
	days := map[string]map[int]bool{}
	for _, l := range homes {
		if days[l.Addr] == nil {
			days[l.Addr] = map[int]bool{}
		}
		days[l.Addr][l.At.YearDay()] = true
	}
	back := 0
	for _, d := range days {
		if len(d) > 1 {
			back++
		}
	}
	within(t, "addresses that come back on another day", float64(back)/float64(len(week)), 0.4, 0.85)
}

func TestClientsHaveAHeavyHeadAndALongTail(t *testing.T) {
	lines := quietWeek(t)
	var people []logLine
	for _, label := range []string{"homes*", "nat", "office", "vpn", "rare", "signups", "cookieless", "forgetful"} {
		people = append(people, only(t, lines, "honest/"+label)...)
	}
	ja4s, agents := counted(people, byJA4), counted(people, byAgent)
	within(t, "fingerprints", float64(len(ja4s)), 150, 600)
	within(t, "share of the first ten fingerprints", head(ja4s, 10), 0.6, 0.9)
	within(t, "agents", float64(len(agents)), 200, 900)
	within(t, "share of the first agent", head(agents, 1), 0.04, 0.15)
	within(t, "share of the first hundred agents", head(agents, 100), 0.8, 0.98)
	families := map[string]map[string]bool{}
	for _, l := range only(t, lines, "honest/homes") {
		if strings.Contains(l.Agent, "Firefox/14") && strings.Contains(l.Agent, "NT 10") {
			if families[l.Agent] == nil {
				families[l.Agent] = map[string]bool{}
			}
			families[l.Agent][l.JA4] = true
		}
	}
	if len(families) == 0 {
		t.Fatal("no Firefox")
	}
	for agent, own := range families {
		for ja4 := range own {
			if !strings.HasPrefix(ja4, "t13d1715h2_") {
				t.Errorf("%s has the fingerprint %s", agent, ja4)
			}
		}
	}
}

func TestManyAreBehindACarriersAddress(t *testing.T) {
	lines := quietWeek(t)
	nat := only(t, lines, "honest/nat")
	sessions := map[string]map[string]bool{}
	for _, l := range nat {
		if sessions[l.Addr] == nil {
			sessions[l.Addr] = map[string]bool{}
		}
		sessions[l.Addr][l.Session] = true
	}
	least := 1 << 30
	for _, s := range sessions {
		least = min(least, len(s))
	}
	within(t, "visits at the quietest address in a week", float64(least), 100, 1000)
	within(t, "addresses", float64(len(sessions)), 3, 6)
}

func TestMachinesKeepTheirRhythm(t *testing.T) {
	lines := quietWeek(t)
	var last time.Time
	n := 0
	for _, l := range only(t, lines, "honest/login_monitor") {
		if !last.IsZero() {
			within(t, "seconds between two looks", l.At.Sub(last).Seconds(), 290, 330)
		}
		last = l.At
		n++
	}
	within(t, "looks", float64(n), 1900, 2020)
	for _, l := range only(t, lines, "honest/partner") {
		if l.Consumer != "partner-zulu" || !strings.HasPrefix(l.URI, "/partner/v1/inventory/") {
			t.Fatalf("%+v", l)
		}
	}
	for _, l := range only(t, lines, "honest/crawler") {
		if !strings.HasPrefix(l.Addr, "203.0.113.") {
			t.Fatalf("%s is no verified crawler's", l.Addr)
		}
	}
	days := map[string]int{}
	for _, l := range logins(only(t, lines, "honest/aggregator")) {
		days[l.User]++
	}
	within(t, "log-ins of the aggregator for one account in a week", float64(quantileOf(days, 0.5)), 5, 9)
}

func TestStormsHaveLabelsOfTheirOwn(t *testing.T) {
	sc := load(t, "honest_storms")
	lines, _ := play(t, sc, Options{Seed: 2, Scale: 0.02})
	day := func(n, hour, minute int) time.Time { return time.Date(2026, 3, 1+n, hour, minute, 0, 0, time.UTC) }
	outage := logins(only(t, lines, "honest/outage"))
	for _, l := range outage {
		if l.At.Before(day(6, 9, 35)) && l.Status < 400 {
			t.Errorf("%v: somebody logs in", l.At)
		}
	}
	within(t, "tries of one account in the outage", float64(len(outage))/float64(len(counted(outage, byUser))), 2, 6)

	sale := only(t, lines, "honest/sale")
	usual := 0
	for _, l := range only(t, lines, "honest/*") {
		if l.Label != "honest/sale" && l.At.After(day(3, 18, 0)) && l.At.Before(day(3, 20, 0)) && !strings.Contains(l.Label, "monitor") {
			usual++
		}
	}
	within(t, "requests in the sale against the evening before", float64(len(sale))/float64(usual), 3, 9)

	reset := only(t, lines, "honest/reset")
	known := map[string]bool{}
	for _, l := range logins(lines) {
		if l.At.Before(day(5, 10, 0)) {
			known[l.User] = true
		}
	}
	tries := logins(reset)
	within(t, "log-ins in the reset that fail", failing(tries), 0.4, 0.85)
	before := 0
	for user := range counted(tries, byUser) {
		if known[user] {
			before++
		}
	}
	if before == 0 {
		t.Error("the reset hits nobody who logged in before")
	}
	resets := 0
	for _, l := range reset {
		if l.Method == "POST" && l.URI == "/password/reset" {
			resets++
		}
	}
	within(t, "people who choose a new password", float64(resets)/float64(len(counted(tries, byUser))), 0.5, 1.2)
}

func TestLateAndBrokenLinesAreThere(t *testing.T) {
	s := begun(t, load(t, "quiet"), Options{Seed: 1, Scale: 0.02})
	kinds := map[string]int{}
	for line, ok := s.Next(); ok; line, ok = s.Next() {
		if s.labels[line.Label].Name != "honest/broken" {
			continue
		}
		switch text := string(line.Text); {
		case strings.ContainsAny(text, "\n\r"):
			t.Fatalf("%q is more than a line", text)
		case strings.HasPrefix(text, "\x00"):
			kinds["zeros"]++
		case strings.Contains(text, "[error]"):
			kinds["message"]++
		case strings.Contains(text, "not-an-address"):
			kinds["nonsense"]++
		default:
			kinds["half"]++
		}
	}
	if len(kinds) != 4 {
		t.Errorf("broken lines: %v, must be of 4 kinds", kinds)
	}
}

func TestKnobsTurnTheWholeScenario(t *testing.T) {
	base, _ := play(t, load(t, "stuffing"), Options{Seed: 1, Scale: 0.01})
	for _, c := range []struct {
		knob  string
		check func(lines []logLine)
	}{
		{"knobs.attack_size=4", func(lines []logLine) {
			within(t, "four times the attack", float64(len(only(t, lines, "attack/*")))/float64(len(only(t, base, "attack/*"))), 3.8, 4.2)
			within(t, "its addresses", float64(len(counted(only(t, lines, "attack/*"), byAddr))), 152, 152)
		}},
		{"knobs.attack_pace=2", func(lines []logLine) {
			a := only(t, lines, "attack/*")
			within(t, "hours at twice the pace", a[len(a)-1].At.Sub(a[0].At).Hours(), 2.4, 2.6)
			within(t, "as many requests", float64(len(a)), 14_400, 15_600)
		}},
		{"knobs.failures=3", func(lines []logLine) {
			within(t, "failures", failing(logins(only(t, lines, "honest/homes")))/failing(logins(only(t, base, "honest/homes"))), 1.8, 4)
		}},
		{"knobs.honest=3", func(lines []logLine) {
			within(t, "people", float64(len(only(t, lines, "honest/homes")))/float64(len(only(t, base, "honest/homes"))), 2.5, 3.5)
		}},
		{`knobs.attack_at="day 1 00:00:10"`, func(lines []logLine) {
			if at := only(t, lines, "attack/*")[0].At; at.After(time.Date(2026, 3, 2, 0, 1, 0, 0, time.UTC)) {
				t.Errorf("the attack begins at %v", at)
			}
		}},
	} {
		lines, _ := play(t, load(t, "stuffing", c.knob), Options{Seed: 1, Scale: 0.01})
		c.check(lines)
	}
}

func TestSomeHomesHaveAnotherAddressEveryDay(t *testing.T) {
	moving := func(set string) (most int) {
		lines, _ := play(t, load(t, "quiet", set, "honest.homes.visits=14", "honest.homes.users=2000"), Options{Seed: 4, Scale: 0.05})
		users := map[string]map[string]bool{}
		for _, l := range logins(only(t, lines, "honest/homes")) {
			if users[l.User] == nil {
				users[l.User] = map[string]bool{}
			}
			users[l.User][l.Addr] = true
		}
		for _, addresses := range users {
			most = max(most, len(addresses))
		}
		return most
	}
	if still, moves := moving("honest.homes.moves=0"), moving("honest.homes.moves=1"); still > 3 || moves != 4 {
		t.Errorf("an account has up to %d addresses in four days, up to %d where all move", still, moves)
	}
}

func TestPopulationsShareHomesButNotMachines(t *testing.T) {
	lines := quietWeek(t)
	homes := counted(only(t, lines, "honest/homes"), byAddr)
	overlap := func(label string) float64 {
		others := counted(only(t, lines, label), byAddr)
		shared := 0
		for addr := range others {
			if homes[addr] > 0 {
				shared++
			}
		}
		return float64(shared) / float64(len(others))
	}
	within(t, "homes with the app that have a browser, too", overlap("honest/app"), 0.1, 0.7)
	within(t, "homes with rare browsers that have another one", overlap("honest/rare"), 0.1, 0.7)
	machines := map[string]string{}
	for _, label := range []string{"partner", "aggregator", "monitor", "login_monitor", "feed", "other_crawler", "crawler", "cloud"} {
		for addr := range counted(only(t, lines, "honest/"+label), byAddr) {
			if other := machines[addr]; other != "" {
				t.Errorf("%s is of %s and %s", addr, other, label)
			}
			machines[addr] = label
		}
	}
	nat, app := counted(only(t, lines, "honest/nat"), byAddr), counted(only(t, lines, "honest/nat_app"), byAddr)
	for addr := range app {
		if nat[addr] == 0 {
			t.Errorf("nobody with a browser is behind %s", addr)
		}
	}
}
