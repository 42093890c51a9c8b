package emit

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"weir/event"
	"weir/internal/broker"
)

func TestEveryKindOfPointIsMadeFromYAML(t *testing.T) {
	dir := t.TempDir()
	var cfg struct {
		Points []PointConfig `yaml:"points"`
	}
	const text = `
points:
  - {name: plain, file: {path: list.txt, mode: 0640, header: false}}
  - {name: tarpit, actions: [challenge], capacity: 10, file: {path: challenge.txt}}
  - {name: web, endpoints: ["POST /foo"], nginx: {conf: weir.conf}}
  - {name: proxy, actions: [limit, block], haproxy: {map: weir.map}}
  - {name: decisions, kafka: {brokers: ["127.0.0.1:1"], topic: decisions}}
`
	if err := yaml.UnmarshalWithOptions([]byte(text), &cfg, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	points, err := OpenPoints(cfg.Points, []string{"POST /shop/login", "POST /not;this"}, func(p string) string { return filepath.Join(dir, p) }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"plain": "[block]", "tarpit": "[challenge]", "web": "[block]", "proxy": "[block limit]", "decisions": "[block limit challenge deceive]"}
	for _, p := range points {
		c := p.Capabilities()
		if got := fmt.Sprint(c.Actions); got != want[p.Name()] {
			t.Errorf("%s: actions %s, want %s", p.Name(), got, want[p.Name()])
		}
		has := func(pattern string) bool {
			for _, e := range c.Endpoints {
				if e.Pattern == pattern {
					return true
				}
			}
			return false
		}
		switch p.Name() {
		case "plain":
			if mode := p.(*textFile).mode; mode != 0o640 {
				t.Errorf("mode %v", mode)
			}
		case "web":
			if !has("POST /foo") || !has("POST /shop/login") || !has("POST /login") {
				t.Errorf("endpoints %v", c.Endpoints)
			}
		case "tarpit":
			if c.Capacity != 10 {
				t.Errorf("capacity %d", c.Capacity)
			}
		}
		if c.Capacity == 0 || c.MinInterval == 0 {
			t.Errorf("%s: %+v: not bounded", p.Name(), c)
		}
		if err := p.Close(); err != nil {
			t.Errorf("%s: %v", p.Name(), err)
		}
	}
	if len(points) != len(kinds)+1 {
		t.Errorf("%d points for %d kinds", len(points), len(kinds))
	}
}

func TestFaultsOfPoints(t *testing.T) {
	file := &FileConfig{Path: "x"}
	var many []PointConfig
	for i := range maxPoints + 1 {
		many = append(many, PointConfig{Name: fmt.Sprint("p", i), File: file})
	}
	for _, c := range []struct {
		cfg []PointConfig
		why []string
	}{
		{[]PointConfig{{}}, []string{`point "": name: must be 1 to 64`, "0 kinds, must be one of file, nginx, haproxy, kafka"}},
		{[]PointConfig{{Name: "a b", File: file}}, []string{"name: must be"}},
		{[]PointConfig{{Name: "a", File: file}, {Name: "a", File: file}}, []string{`point "a": name: is there twice`}},
		{[]PointConfig{{Name: "a", File: file, Kafka: &TopicConfig{}}}, []string{"2 kinds"}},
		{[]PointConfig{{Name: "a", File: file, Actions: []string{"alert"}}}, []string{`actions: "alert", must be block, limit, challenge or deceive`}},
		{[]PointConfig{{Name: "a", File: file, Actions: []string{"ban"}}}, []string{`"ban"`}},
		{[]PointConfig{{Name: "a", File: file, Capacity: -1}}, []string{"capacity: -1"}},
		{[]PointConfig{{Name: "a", File: file, Endpoints: []string{"POST /x"}}}, []string{"a file point does not tell endpoints apart"}},
		{[]PointConfig{{Name: "a", Nginx: &NginxConfig{}, Endpoints: []string{"POST x"}}}, []string{`endpoint "POST x": it has no path`}},
		{many, []string{"points: 65, must be at most 64"}},
	} {
		err := ValidatePoints(c.cfg)
		for _, why := range c.why {
			if err == nil || !strings.Contains(err.Error(), why) {
				t.Errorf("%+v: %v, must say %q", c.cfg, err, why)
			}
		}
		if points, err := OpenPoints(c.cfg, nil, nil, slog.New(slog.DiscardHandler)); err == nil || points != nil {
			t.Errorf("%+v: opened", c.cfg)
		}
	}
	for _, c := range []struct {
		cfg PointConfig
		why string
	}{
		{PointConfig{Name: "a", Kafka: &TopicConfig{Config: broker.Config{Brokers: []string{"127.0.0.1:1"}}}}, `point "a": kafka: topic: must name`},
		{PointConfig{Name: "a", Kafka: &TopicConfig{Topic: "x"}}, `point "a": kafka: `},
		{PointConfig{Name: "a", File: &FileConfig{}}, `point "a": file: path: is missing`},
	} {
		if _, err := OpenPoints([]PointConfig{c.cfg}, nil, func(p string) string { return p }, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%+v: %v, must say %q", c.cfg, err, c.why)
		}
	}
	if a, err := readActions([]string{"deceive", "block", "block"}, nil); err != nil || len(a) != 2 || a[0] != event.Block {
		t.Errorf("%v, %v", a, err)
	}
}
