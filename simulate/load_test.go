package simulate

import (
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

func TestEveryScenarioThatShipsCanBePlayed(t *testing.T) {
	names := Scenarios()
	if len(names) < 25 {
		t.Fatalf("%d scenarios", len(names))
	}
	for _, name := range names {
		sc := load(t, name)
		if sc.Title == "" || sc.Title == load(t, baseName).Title || strings.Contains(sc.Title, "\n") {
			t.Errorf("%s: the title %q is none of its own", name, sc.Title)
		}
		s := begun(t, sc, Options{Seed: 1, Scale: 0.001})
		attacks := 0
		for _, l := range s.labels {
			if l.Attack {
				attacks++
			}
		}
		if (attacks == 0) != (name == "quiet" || name == "honest_storms") {
			t.Errorf("%s: %d phases of attacks", name, attacks)
		}
		for goal, g := range sc.Goals {
			meant := 0
			for _, l := range s.labels {
				ok, err := path.Match(g.Labels, l.Name)
				if err != nil {
					t.Errorf("%s: goal %s: %v", name, goal, err)
				}
				if ok {
					meant++
				}
			}
			if meant == 0 {
				t.Errorf("%s: goal %s is of %s, which is no label", name, goal, g.Labels)
			}
		}
		for label, p := range sc.Campaigns {
			for phase, ph := range p.Phases {
				if end := int64(ph.Start) + int64(ph.For); end > int64(sc.Days)*day {
					t.Errorf("%s: %s/%s ends after the log", name, label, phase)
				}
			}
		}
		spaces := map[uint64]string{}
		for population := range sc.Honest {
			if other, ok := spaces[spaceOf(population)]; ok {
				t.Errorf("%s and %s have the same accounts", population, other)
			}
			spaces[spaceOf(population)] = population
		}
	}
}

func TestGoalsDependOnWhatTheLogHolds(t *testing.T) {
	sc := load(t, "recon")
	of := func(variant string) float64 {
		for _, g := range sc.goals(variant) {
			if g.Blocked != nil {
				return *g.Blocked
			}
		}
		t.Fatalf("no goal for %q", variant)
		return 0
	}
	if of("") != 0.98 || of("without-sessions") != 0.98 || of("without-ja4") != 0.75 || of("combined") != 0.75 {
		t.Errorf("goals %v %v %v %v", of(""), of("without-sessions"), of("without-ja4"), of("combined"))
	}
}

func TestFaultsPointIntoTheFile(t *testing.T) {
	for text, want := range map[string]string{
		"honest:\n  homes: {user: 3}\n":                                   "own.yaml:4:11: unknown key user\n | homes: {user: 3}\n |         ^",
		"honest:\n  homes: {users: many}\n":                               "own.yaml:4:18: many, must be a number",
		"honest:\n  homes: {users: -3}\n":                                 "own.yaml:4:11: users: -3, must be from 1 to",
		"honest:\n  homes: {network: mars}\n":                             "own.yaml:4:11: network: \"mars\", must be one of abroad",
		"days: 0\n":                                                       "own.yaml:3:1: days: 0, must be from 1 to 366",
		"campaigns:\n  a: {phases: {b: {start: day 900}}}\n":              "own.yaml:4:27: \"day 900\", must be like",
		"campaigns:\n  a: {phases: {b: {for: 3 weeks}}}\n":                "own.yaml:4:25: \"3 weeks\", must be a duration",
		"campaigns:\n  a: {phases: {}}\n":                                 "own.yaml:4:3: a: no phases",
		"events:\n  x: {kind: party}\n":                                   "own.yaml:4:7: kind: \"party\", must be one of sale, reset, outage",
		"site: {curves: {site: {hours: [1, 2]}}}\n":                       "own.yaml:3:17: site: hours: 2 numbers, must be 24",
		"site: {endpoints: {home: {pattern: home}}}\n":                    "own.yaml:3:20: home: pattern \"home\", must be like",
		"site: {endpoints: {home: {pattern: \"GET /{x}\"}}}\n":            "own.yaml:3:20: home: \"/{x}\", a placeholder must be {n} or {copy}",
		"title: again\n":                                                  "own.yaml:3:1: mapping key \"title\" already defined",
		"honest: [\n":                                                     "own.yaml:3:",
		"knobs: {attack_size: 0.0000001}\n":                               "own.yaml:3:9: attack_size",
		"honest:\n  robot: {kind: machine, network: clouds, count: 1}\n":  "own.yaml:4:3: endpoints: must be given for a machine",
		"include: [nowhere]\n":                                            "own.yaml: include: no scenario nowhere",
		"goals:\n  g: {labels: \"honest/*\", most_blocked: none, x: 1}\n": "own.yaml:4:",
		"campaigns:\n  a: {phases: {b: {for: 1h, requests: 9, network: clouds, fingerprint: tool, says: apps, endpoints: [nothing]}}}\n": "own.yaml:4:90: endpoints: no endpoint nothing in site.endpoints",
	} {
		file := filepath.Join(t.TempDir(), "own.yaml")
		if err := os.WriteFile(file, []byte("title: own\nbase: shop\n"+text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Load(file, nil)
		if err == nil {
			t.Errorf("%q is taken", text)
			continue
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q:\n%v\nmust have %s", text, err, want)
		}
	}
}

func TestSetPointsToWhatItChanges(t *testing.T) {
	for set, want := range map[string]string{
		"honest.homes.userz=3":                             "honest.homes.userz=3: unknown key userz\n | homes:",
		"honest.homez.users=3":                             "honest has no homez, there are aggregator",
		"campaigns.stuffing.phases.stuffing.hits=7":        "scenarios/stuffing.yaml:18:9: --set campaigns.stuffing.phases.stuffing.hits=7: hits: 7, must be from 0 to 1",
		"campaigns.stuffing.phases.stuffing.start=day 400": "\"day 400\", must be like",
		"campaigns.stuffing.title.x=1":                     "campaigns.stuffing.title has no keys below it",
		"knobs.honest=x":                                   "x, must be a number",
		"days":                                             "must be like",
		"days=[":                                           "the value is no YAML",
		".days=3":                                          "must be like",
	} {
		_, err := Load("stuffing", []string{set})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("--set %s: %v\nmust have %s", set, err, want)
		}
	}
	sc := load(t, "stuffing", "campaigns.stuffing.phases.stuffing.requests=5", "honest.homes.users=7", "knobs.failures=2", "honest.nat=null")
	if sc.Campaigns["stuffing"].Phases["stuffing"].Requests != 5 || sc.Honest["homes"].Users != 7 || sc.Knobs.Failures != 2 || sc.Honest["nat"] != nil {
		t.Error("what was set is not there")
	}
}

func TestScenarioOfOnesOwnIsBasedOnAnotherBesideIt(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"mine.yaml":  "title: mine\nbase: other.yaml\nhonest: {homes: {users: 9}}\ncampaigns: {stuffing: null}\ngoals: {stuffing: null}\n",
		"other.yaml": "title: other\nbase: stuffing\nhonest: {homes: {users: 8}, app: {users: 8}}\n",
		"round.yaml": "title: round\nbase: round.yaml\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	sc := load(t, filepath.Join(dir, "mine.yaml"))
	if sc.Name != "mine" || sc.Title != "mine" || sc.Honest["homes"].Users != 9 || sc.Honest["app"].Users != 8 || sc.Days != 4 || len(sc.Campaigns) != 0 {
		t.Errorf("%s %q: %v days, %d campaigns", sc.Name, sc.Title, sc.Days, len(sc.Campaigns))
	}
	if _, err := Load(filepath.Join(dir, "round.yaml"), nil); err == nil || !strings.Contains(err.Error(), "more than 8") {
		t.Errorf("a scenario based on itself: %v", err)
	}
	if _, err := Load("nothing", nil); err == nil || !strings.Contains(err.Error(), "weir simulate lists them") {
		t.Errorf("a scenario that does not exist: %v", err)
	}
}

func FuzzScenario(f *testing.F) {
	for _, name := range append(Scenarios(), baseName) {
		text, err := shipped.ReadFile("scenarios/" + name + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text), "honest.homes.users=3")
	}
	f.Fuzz(func(t *testing.T, text, set string) {
		file := filepath.Join(t.TempDir(), "own.yaml")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		sc, err := Load(file, []string{set})
		if err != nil || sc.Days > 3 {
			return
		}
		s, err := NewStream(sc, Options{Seed: 1, Scale: 0.001})
		if err != nil {
			t.Fatal(err)
		}
		for range 1000 {
			if _, ok := s.Next(); !ok {
				return
			}
		}
	})
}
