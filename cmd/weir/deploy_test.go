package main

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weir/event"
	"weir/rules"
	"weir/rulesets"
)

// deployed loads a configuration that ships, changed, without what it needs
// beside it.
func deployed(t *testing.T, name string, change func(string) string) *config {
	t.Helper()
	text := readFile(t, filepath.Join("../../deploy", name))
	if change != nil {
		text = change(text)
	}
	dir := t.TempDir()
	for name, content := range map[string]string{"key": strings.Repeat("k", 32), "password": "secret\n", "ca.pem": "", "site.yaml": "endpoints: []\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := loadConfig(write(t, dir, "weir.yaml", text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return c
}

// What weir has refused must not count as evidence again for whoever takes an
// example as it is, and the lines that a point prints must be those that the
// example's source reads.
func TestTheExamplesCanTellWhatWasRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"nginx.yaml", "kafka-haproxy.yaml"} {
		c := deployed(t, name, nil)
		for i := range c.Sources {
			s := &c.Sources[i]
			if !s.tellsRefusals() {
				t.Errorf("%s: source %s cannot tell what was refused", name, s.Name)
			}
		}
		g := &engine{cfg: c}
		points, err := g.openPoints(slog.New(slog.NewTextHandler(io.Discard, nil)))
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := closePoints(points); err != nil {
				t.Error(err)
			}
		}()
		// The part of the setup for weir.yaml, read as YAML would.
		_, part, ok := strings.Cut(points[0].Setup(), "# -- weir.yaml, ")
		if !ok {
			t.Fatalf("%s: the setup of %s has no part for weir.yaml", name, points[0].Name())
		}
		s := &c.Sources[0]
		if want := "#   format: " + s.formatName() + "\n"; !strings.Contains(part, want) {
			t.Errorf("%s: no %q in:\n%s", name, want, part)
		}
		for field, column := range s.Fields {
			if want := field + ": " + column; !strings.Contains(part, want) {
				t.Errorf("%s: no %q in:\n%s", name, want, part)
			}
		}
		if len(s.Fields) == 0 && strings.Contains(part, "#   fields:") {
			t.Errorf("%s: no fields, but the setup prints:\n%s", name, part)
		}
	}
}

// The lines of nginx.yaml that a unit needs instead of root's.
func TestTheExampleForAUnitOnlyAsksNginx(t *testing.T) {
	t.Parallel()
	c := deployed(t, "nginx.yaml", func(text string) string {
		for _, key := range []string{`test: ["true"]`, `reload: ["true"]`, "probe: "} {
			if strings.Count(text, "      # "+key) != 1 {
				t.Fatalf("no line that is commented out begins with %s", key)
			}
			text = strings.Replace(text, "      # "+key, "      "+key, 1)
		}
		return text
	})
	n := c.Points[0].Nginx
	if !slices.Equal(n.Test, []string{"true"}) || !slices.Equal(n.Reload, []string{"true"}) || n.Probe == "" {
		t.Errorf("%+v", n)
	}
	// The unit that reloads nginx watches the file that the point writes.
	for line := range strings.SplitSeq(readFile(t, "../../deploy/weir-nginx.path"), "\n") {
		if watched, ok := strings.CutPrefix(line, "PathChanged="); ok {
			if watched != n.Conf {
				t.Errorf("weir-nginx.path watches %s, the point writes %s", watched, n.Conf)
			}
			return
		}
	}
	t.Error("weir-nginx.path watches nothing")
}

// Whoever takes the examples' set: and raises stage: has those rules enforce
// that the set names, and no others.
func TestTheExamplesLetNamedRulesEnforceAlone(t *testing.T) {
	t.Parallel()
	rs, err := loadRules([]ruleDir{{".", rulesets.FS}}, rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"nginx.yaml", "kafka-haproxy.yaml"} {
		c := deployed(t, name, func(text string) string { return strings.Replace(text, "  # set: [", "  set: [", 1) })
		stages, err := c.stages(rs)
		if err != nil {
			t.Fatal(err)
		}
		enforcing := 0
		for _, r := range rs {
			stage, set := stages[r.ID]
			may := min(r.Stage, stage) == event.Enforce
			if named := strings.HasPrefix(r.ID, "ato."); !set || may != (named && r.Stage == event.Enforce) {
				t.Errorf("%s: %s may enforce: %v (set: %v)", name, r.ID, may, set)
			}
			if may {
				enforcing++
			}
		}
		if enforcing == 0 || enforcing == len(rs) {
			t.Errorf("%s: %d of %d rules may enforce", name, enforcing, len(rs))
		}
	}
}

// A check that fails must not keep the service from starting, and what it
// writes to must be open to it.
func TestTheUnitStartsWhateverIsDown(t *testing.T) {
	t.Parallel()
	unit := readFile(t, "../../deploy/weir.service")
	if strings.Contains(unit, "\nExecStartPre=") {
		t.Error("something must succeed before weir is started")
	}
	for _, line := range []string{
		"User=weir", "Wants=weir-reap.timer", "StateDirectory=weir weir-archive", "StateDirectoryMode=0700", "WorkingDirectory=/var/lib/weir", "SupplementaryGroups=adm",
		// What is refused is refused again; a fault of the program's own, for which Go
		// exits with the same code, must not be taken for that.
		"RestartPreventExitStatus=2", "Environment=GOTRACEBACK=crash", "Restart=on-failure", "TimeoutStopSec=30",
	} {
		if !strings.Contains(unit, "\n"+line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	for _, name := range []string{"nginx.yaml", "kafka-haproxy.yaml"} {
		c := deployed(t, name, nil)
		if c.State.Dir != "/var/lib/weir" {
			t.Errorf("%s: state: dir: %s, the unit's is /var/lib/weir", name, c.State.Dir)
		}
		if dir := filepath.Dir(written(&c.Points[0])); !strings.Contains(unit, " -"+dir) && !strings.Contains(unit, "=-"+dir) {
			t.Errorf("%s: the unit may not write to %s", name, dir)
		}
	}
}

func TestOnlyALogOfOneNameIsAbsent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "there.log", "")
	c := &config{dir: dir, Sources: []sourceConfig{
		{Name: "there", File: fileConfig{Path: "there.log"}},
		{Name: "gone", File: fileConfig{Path: "gone.log"}},
		{Name: "glob", File: fileConfig{Path: "gone*.log"}},
		{Name: "topic", Kafka: &kafkaConfig{Topic: "access"}},
	}}
	absent := c.absentLogs()
	if len(absent) != 1 || !errors.Is(absent["gone"], os.ErrNotExist) {
		t.Errorf("%v", absent)
	}
}
