package simulate

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// attackOf plays a scenario with hardly anybody beside the attack.
func attackOf(t *testing.T, name string, scale float64, sets ...string) []logLine {
	t.Helper()
	lines, _ := play(t, load(t, name, append(sets, "knobs.honest=0.05")...), Options{Seed: 9, Scale: scale})
	return lines
}

func TestStuffingIsOneToolBehindManyAddresses(t *testing.T) {
	a := only(t, attackOf(t, "stuffing", 0.01), "attack/*")
	tries := logins(a)
	within(t, "tries", float64(len(tries)), 14_500, 15_500)
	within(t, "addresses", float64(len(counted(a, byAddr))), 38, 38)
	within(t, "fingerprints", float64(len(counted(a, byJA4))), 1, 1)
	within(t, "hits", 1-failing(tries), 0.002, 0.007)
	perMinute := float64(len(tries)) / 38 / 300
	within(t, "tries a minute and address", perMinute, 1.2, 1.4)
	for _, l := range tries {
		if l.URI != "/api/v0/signin" || !strings.HasPrefix(l.Agent, "ShopApp/4") || l.Session != "" {
			t.Fatalf("%+v", l)
		}
	}
	if follow := len(a) - len(tries); follow == 0 {
		t.Error("nothing follows a hit")
	}
}

func TestReconnaissanceHasAnAddressForEveryRequest(t *testing.T) {
	lines := attackOf(t, "recon", 0.02)
	a := only(t, lines, "attack/*")
	within(t, "addresses a request", float64(len(counted(a, byAddr)))/float64(len(a)), 0.97, 1)
	busiest := 0
	for i, j := 0, 0; j < len(a); j++ {
		for a[j].At.Sub(a[i].At) > 5*time.Minute {
			i++
		}
		busiest = max(busiest, j-i+1)
	}
	within(t, "requests in five minutes at the peak", float64(busiest), 0.02*36_000, 0.02*46_000)
	nets := counted(a, func(l *logLine) string { return l.Addr[:strings.LastIndexByte(l.Addr, '.')] })
	within(t, "networks of 256", float64(len(nets))/float64(len(a)), 0.8, 1)
	if app := counted(only(t, lines, "honest/app"), byJA4); app[a[0].JA4] > 0 || len(counted(a, byJA4)) != 1 {
		t.Error("the spoofed app has the fingerprint of the app, or several")
	}
}

func TestRetoolingKeepsOrChangesItsClient(t *testing.T) {
	for name, same := range map[string]bool{"retooling": true, "retooling_changed": false} {
		lines := attackOf(t, name, 0.002)
		probes, clouds := only(t, lines, "attack/retooling/probes"), only(t, lines, "attack/retooling/clouds")
		if (probes[0].JA4 == clouds[0].JA4) != same {
			t.Errorf("%s: fingerprints %s and %s", name, probes[0].JA4, clouds[0].JA4)
		}
		within(t, "days between", clouds[0].At.Sub(probes[0].At).Hours()/24, 2.9, 3.2)
		for _, l := range clouds {
			if !groupHas("clouds", l.Addr) {
				t.Fatalf("%s is in no cloud", l.Addr)
			}
		}
	}
	if lines := attackOf(t, "retooling_alone", 0.002); len(counted(only(t, lines, "attack/*"), func(l *logLine) string { return l.Label })) != 1 {
		t.Error("the phase alone is not alone")
	}
}

func groupHas(kind, addr string) bool {
	a := netip.MustParseAddr(addr)
	return slices.ContainsFunc(groups[kind], func(n *network) bool {
		first, last := lowHigh(n)
		return !a.Less(first) && !last.Less(a)
	})
}

func TestBurstsArePausedAndComeFromElsewhereEachTime(t *testing.T) {
	a := only(t, attackOf(t, "bursts", 0.01), "attack/bursts/bursts")
	var gaps int
	var bursts []map[string]bool
	for i := range a {
		if i == 0 || a[i].At.Sub(a[i-1].At) > 20*time.Minute {
			gaps++
			bursts = append(bursts, map[string]bool{})
		}
		bursts[len(bursts)-1][a[i].Addr] = true
	}
	within(t, "bursts", float64(gaps), 10, 13)
	shared := 0
	for addr := range bursts[0] {
		if bursts[1][addr] {
			shared++
		}
	}
	within(t, "addresses of the first burst in the second", float64(shared), 0, 1)
}

func TestLowAndSlowChangesItsFingerprintWithEveryRequest(t *testing.T) {
	a := logins(only(t, attackOf(t, "diversion", 0.005, "campaigns.diversion.phases.volume.requests=10000"), "attack/diversion/behind"))
	within(t, "fingerprints a request", float64(len(counted(a, byJA4)))/float64(len(a)), 1, 1)
	abroad := slices.DeleteFunc(a, func(l logLine) bool { return !groupHas("abroad", l.Addr) })
	within(t, "requests of the busiest address", float64(quantileOf(counted(abroad, byAddr), 1)), 1, 3)
}

func TestWeeksOfLowAndSlowUseAnAddressOneToThreeTimes(t *testing.T) {
	for name, few := range map[string]int{"week_tool": 2, "week_browsers": 3} {
		lines := attackOf(t, name, 0.005)
		tries := logins(only(t, lines, "attack/*"))
		counts := counted(tries, byAddr)
		within(t, name+": tries of nearly every address", float64(quantileOf(counts, 0.99)), 1, float64(few))
		within(t, name+": days", tries[len(tries)-1].At.Sub(tries[0].At).Hours()/24, 6.9, 7.01)
		ja4s := counted(tries, byJA4)
		if own := name == "week_tool"; (len(ja4s) == 1) != own {
			t.Errorf("%s: %d fingerprints", name, len(ja4s))
		}
	}
	lines := attackOf(t, "week_browsers", 0.005)
	a := only(t, lines, "attack/*")
	pages := map[string]bool{}
	for _, l := range a {
		if l.asset() && l.Session != "" {
			pages[l.Session] = true
		}
	}
	within(t, "tries with pages and a session", float64(len(pages))/float64(len(logins(a))), 0.15, 0.3)
	honest := map[string]bool{}
	for _, c := range new(catalogue).of("browsers") {
		honest[c.ja4] = true
	}
	for ja4 := range counted(a, byJA4) {
		if !honest[ja4] {
			t.Errorf("%s is no real browser's", ja4)
		}
	}
}

func TestMostLoginsOfTheWeekAreTheTools(t *testing.T) {
	lines, _ := play(t, load(t, "week_tool"), Options{Seed: 1, Scale: 0.004})
	var own, all int
	for _, l := range logins(lines) {
		if strings.HasPrefix(l.Label, "honest/aggregator") || strings.HasPrefix(l.Label, "honest/login_monitor") || l.At.Before(lines[0].At.Add(60*time.Hour)) {
			continue // programs, and the time before
		}
		if all++; strings.HasPrefix(l.Label, "attack/") {
			own++
		}
	}
	within(t, "share of log-ins", float64(own)/float64(all), 0.85, 0.96)
	endpoints := counted(logins(only(t, lines, "attack/*")), func(l *logLine) string { return l.URI })
	within(t, "log-ins that are tried", float64(len(endpoints)), 50, 50)
}

func TestPartnerHandsOnSevenHundredTimesItsVolume(t *testing.T) {
	lines := attackOf(t, "partner", 0.02)
	flood, normal := only(t, lines, "attack/partner/flood"), only(t, lines, "honest/partner")
	perHour := func(l []logLine, hours float64) float64 { return float64(len(l)) / hours }
	within(t, "times the normal volume", perHour(flood, 6)/perHour(normal, 120), 550, 850)
	if flood[0].Consumer != normal[0].Consumer || flood[0].JA4 != normal[0].JA4 || flood[0].Agent != normal[0].Agent {
		t.Error("the flood does not come as the partner")
	}
	known := counted(normal, byAddr)
	for addr := range counted(flood, byAddr) {
		if known[addr] == 0 {
			t.Errorf("%s is not the partner's", addr)
		}
	}
}

func TestScrapersReadWithOneFingerprintOrWithEverybodys(t *testing.T) {
	own := only(t, attackOf(t, "scraping_own", 0.02), "attack/*")
	borrowed := only(t, attackOf(t, "scraping_borrowed", 0.02), "attack/*")
	within(t, "own fingerprints", float64(len(counted(own, byJA4))), 1, 1)
	within(t, "borrowed ones", float64(len(counted(borrowed, byJA4))), 10, 120)
	pages := counted(own, func(l *logLine) string { return l.URI })
	within(t, "different pages of all", float64(len(pages))/float64(len(own)), 0.5, 1)
}

func TestSessionsRotate(t *testing.T) {
	each := counted(only(t, attackOf(t, "session_rotation", 0.05), "attack/*"), bySession)
	within(t, "requests of a session", float64(quantileOf(each, 1)), 1, 1)
	ten := counted(only(t, attackOf(t, "session_rotation_ten", 0.05), "attack/*"), bySession)
	within(t, "requests of a session of ten", float64(quantileOf(ten, 0.5)), 10, 10)
	within(t, "at most", float64(quantileOf(ten, 1)), 10, 10)
}

func TestAggregatorComesBackEveryDayAndGetsIn(t *testing.T) {
	lines, _ := play(t, load(t, "aggregation"), Options{Seed: 9, Scale: 0.01})
	a := only(t, lines, "attack/*")
	tries := logins(a)
	within(t, "log-ins that fail", failing(tries), 0.01, 0.08)
	within(t, "log-ins for an account in three days", float64(quantileOf(counted(tries, byUser), 0.5)), 2, 4)
	within(t, "requests for a log-in", float64(len(a))/float64(len(tries)), 2.5, 3)
}

func TestCardsAndCodesAreMostlyNobodys(t *testing.T) {
	for name, status := range map[string]int{"cards": 404, "codes": 422} {
		a := only(t, attackOf(t, name, 0.01), "attack/*")
		refused := 0
		for _, l := range a {
			if l.Status == status {
				refused++
			}
		}
		within(t, name+" that are refused", float64(refused)/float64(len(a)), 0.985, 1)
		within(t, name+" that are tried twice", float64(len(a)-len(counted(a, func(l *logLine) string { return l.URI }))), 0, 2)
	}
}

func TestSomeExitsAreCustomersHomes(t *testing.T) {
	lines, _ := play(t, load(t, "week_browsers"), Options{Seed: 9, Scale: 0.01})
	homes := counted(only(t, lines, "honest/homes"), byAddr)
	exits := counted(logins(only(t, lines, "attack/*")), byAddr)
	nats := counted(only(t, lines, "honest/nat*"), byAddr)
	shared, through := 0, 0
	for addr := range exits {
		if homes[addr] > 0 {
			shared++
		}
		if nats[addr] > 0 {
			through++
		}
	}
	within(t, "exits that are homes of customers", float64(shared)/float64(len(exits)), 0.02, 0.06)
	within(t, "carriers' addresses that are exits, too", float64(through), 1, float64(len(nats)))
}

func TestForgedForwardedForIsInFrontOfWhoConnected(t *testing.T) {
	lines := attackOf(t, "poison_forwarded", 0.01, "campaigns.forged.phases.forged.requests=500")
	for _, l := range lines {
		if l.Addr != proxyAddress.String() {
			t.Fatalf("%s connects, must be the proxy", l.Addr)
		}
		claim, real, two := strings.Cut(l.Forwarded, ", ")
		attacks := strings.HasPrefix(l.Label, "attack/")
		if two != attacks || attacks && (claim != victimAddress.String() || !groupHas("clouds", real)) {
			t.Fatalf("%s: X-Forwarded-For %s", l.Label, l.Forwarded)
		}
	}
	if victim := only(t, lines, "honest/victim"); victim[0].Forwarded != victimAddress.String() {
		t.Errorf("the victim is %s", victim[0].Forwarded)
	}
}

func TestPoisonersHurtWhomTheyMean(t *testing.T) {
	lines := attackOf(t, "poison_lockout", 0.01)
	tries := logins(only(t, lines, "attack/*"))
	owner := logins(only(t, lines, "honest/victim"))
	if users := counted(tries, byUser); len(users) != 1 || users[owner[0].User] != len(tries) {
		t.Errorf("tries at %d accounts, %d at the victim's", len(users), users[owner[0].User])
	}
	within(t, "tries", float64(len(tries)), 9_500, 10_500)
	within(t, "addresses", float64(len(counted(tries, byAddr))), 7_500, 8_000)

	lines, _ = play(t, load(t, "poison_nat"), Options{Seed: 9, Scale: 0.02})
	at := counted(only(t, lines, "attack/*"), byAddr)
	if len(at) != 1 {
		t.Fatalf("%d addresses of the attacker", len(at))
	}
	people := map[string]bool{}
	for _, l := range only(t, lines, "honest/nat*") {
		if at[l.Addr] > 0 {
			people[l.Session] = true
		}
	}
	within(t, "visits of honest people at his address", float64(len(people)), 200, 2000)

	lines = attackOf(t, "poison_good_accounts", 0.01)
	good := logins(only(t, lines, "attack/regular/grooming"))
	within(t, "his own accounts", float64(len(counted(good, byUser))), 20, 20)
	within(t, "failures of his own", failing(good), 0, 0.01)
	groomed := counted(good, byAddr)
	for addr := range counted(only(t, lines, "attack/regular/tries"), byAddr) {
		if groomed[addr] == 0 {
			t.Errorf("%s was not groomed", addr)
		}
	}
}

func TestSmallSiteHasAHundredRequestsAnHour(t *testing.T) {
	lines, _ := play(t, load(t, "small_site"), Options{Seed: 9, Scale: 0.3})
	within(t, "requests an hour", float64(len(only(t, lines, "honest/*")))/144, 60, 140)
}

func TestNightAndDayAttackersKeepTheirHours(t *testing.T) {
	lines := attackOf(t, "day_and_night", 0.05)
	hours := func(label string) (evening, morning int) {
		for _, l := range only(t, lines, label) {
			switch l.At.Hour() {
			case 19, 20, 21:
				evening++
			case 3, 4, 5:
				morning++
			}
		}
		return evening, morning
	}
	if evening, morning := hours("attack/hours/day"); evening < 3*morning {
		t.Errorf("by day: %d in the evening, %d in the morning", evening, morning)
	}
	if evening, morning := hours("attack/hours/night"); morning < 2*evening {
		t.Errorf("by night: %d in the evening, %d in the morning", evening, morning)
	}
}

func TestPhaseKeepsItsSizeWhateverItsShape(t *testing.T) {
	for _, shape := range []string{"flat", "ramp", "site", "night"} {
		a := attackOf(t, "recon", 0.01, "campaigns.recon.phases.recon.shape="+shape, "campaigns.recon.phases.recon.for=20h")
		within(t, shape, float64(len(only(t, a, "attack/*"))), 5_000, 5_600)
	}
	for _, pause := range []string{"1h", "7h"} {
		a := attackOf(t, "bursts", 0.01, "campaigns.bursts.phases.bursts.pause="+pause)
		within(t, "pause "+pause, float64(len(logins(only(t, a, "attack/bursts/bursts")))), 4_100, 4_700)
	}
}

func TestItemsAreAskedForAsTheyAreNamed(t *testing.T) {
	r := stream(1, "items")
	for which, want := range map[string]func(asked, item uint64) bool{
		"one": func(_, item uint64) bool { return item == 0 }, "next": func(asked, item uint64) bool { return item == asked%100 },
		"any": func(_, item uint64) bool { return item < 100 }, "popular": func(_, item uint64) bool { return item < 100 },
		"sparse": func(_, item uint64) bool { return item >= 4e9 }, "new": func(asked, item uint64) bool { return item == 100+asked },
	} {
		for asked := range uint64(300) {
			if got := item(which, &r, asked, 100); !want(asked, got) {
				t.Errorf("%s: request %d is for %d", which, asked, got)
			}
		}
	}
	if len(itemKinds) != 7 {
		t.Error("a kind of items is not tested: " + fmt.Sprint(itemKinds) + strconv.Itoa(len(itemKinds)))
	}
}
