package emit

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"weir/event"
)

// maxPoints is how many points there may be.
const maxPoints = 64

// PointConfig is one point of the configuration: what all kinds have, and the
// one kind that it is.
type PointConfig struct {
	Name      string   `yaml:"name"`
	Actions   []string `yaml:"actions"`   // that the point realises; default: block (kafka: all)
	Endpoints []string `yaml:"endpoints"` // patterns, besides those of the site file and well-known ones
	Capacity  int      `yaml:"capacity"`  // entries at most; 0: the point's own limit

	File    *FileConfig    `yaml:"file"`
	Nginx   *NginxConfig   `yaml:"nginx"`
	HAProxy *HAProxyConfig `yaml:"haproxy"`
	Kafka   *TopicConfig   `yaml:"kafka"`
}

// Setting is what the points of every kind are made from besides their own
// configuration.
type Setting struct {
	Name      string
	Actions   []event.Action      // sorted, at least one
	Endpoints []Endpoint          // for those that can tell endpoints apart
	Capacity  int                 // 0: the point's own limit
	Path      func(string) string // makes a path of the configuration absolute
	Log       *slog.Logger
}

// kinds is every kind of point.
var kinds = []struct {
	name      string
	given     func(*PointConfig) bool
	actions   []event.Action // by default
	endpoints bool           // it can tell them apart
	open      func(*PointConfig, Setting) (Point, error)
}{
	{"file", func(c *PointConfig) bool { return c.File != nil }, onlyBlock, false,
		func(c *PointConfig, s Setting) (Point, error) { return newTextFile(*c.File, s) }},
	{"nginx", func(c *PointConfig) bool { return c.Nginx != nil }, onlyBlock, true,
		func(c *PointConfig, s Setting) (Point, error) { return newNginx(*c.Nginx, s) }},
	{"haproxy", func(c *PointConfig) bool { return c.HAProxy != nil }, onlyBlock, true,
		func(c *PointConfig, s Setting) (Point, error) { return newHAProxy(*c.HAProxy, s) }},
	{"kafka", func(c *PointConfig) bool { return c.Kafka != nil }, enforceable, false,
		func(c *PointConfig, s Setting) (Point, error) { return newTopic(*c.Kafka, s) }},
}

var (
	onlyBlock   = []event.Action{event.Block}
	enforceable = []event.Action{event.Block, event.Limit, event.Challenge, event.Deceive}
)

// ValidatePoints reports every fault that can be seen without opening anything.
func ValidatePoints(cs []PointConfig) (err error) {
	if len(cs) > maxPoints {
		err = errors.Join(err, fmt.Errorf("points: %d, must be at most %d", len(cs), maxPoints))
	}
	seen := map[string]bool{}
	for i := range cs {
		c := &cs[i]
		at := func(format string, args ...any) {
			err = errors.Join(err, fmt.Errorf("point %q: %w", c.Name, fmt.Errorf(format, args...)))
		}
		if !isName(c.Name) {
			at("name: must be 1 to 64 letters, digits, - and _")
		}
		if seen[c.Name] {
			at("name: is there twice")
		}
		seen[c.Name] = true
		if c.Capacity < 0 {
			at("capacity: %d, must not be negative", c.Capacity)
		}
		if _, what := readActions(c.Actions, nil); what != nil {
			at("%w", what)
		}
		if n := len(c.kinds()); n != 1 {
			at("%d kinds, must be one of %s", n, kindNames())
			continue
		}
		if k := c.kinds()[0]; !kinds[k].endpoints && len(c.Endpoints) > 0 {
			at("endpoints: a %s point does not tell endpoints apart", kinds[k].name)
		}
		if _, _, what := EndpointTable(c.Endpoints, nil); what != nil {
			at("%w", what)
		}
	}
	return err
}

// OpenPoints makes the points of a configuration. Site is the patterns of the
// site file, those that matter most first; path makes paths absolute. Nothing
// is connected to or written yet: see Point.Try.
func OpenPoints(cs []PointConfig, site []string, path func(string) string, log *slog.Logger) ([]Point, error) {
	if err := ValidatePoints(cs); err != nil {
		return nil, err
	}
	var points []Point
	for i := range cs {
		p, err := openPoint(&cs[i], site, path, log)
		if err != nil {
			for _, open := range points {
				err = errors.Join(err, open.Close())
			}
			return nil, fmt.Errorf("point %q: %w", cs[i].Name, err)
		}
		points = append(points, p)
	}
	return points, nil
}

func openPoint(c *PointConfig, site []string, path func(string) string, log *slog.Logger) (Point, error) {
	k := &kinds[c.kinds()[0]]
	s := Setting{Name: c.Name, Capacity: c.Capacity, Path: path, Log: log.With("point", c.Name)}
	var err error
	if s.Actions, err = readActions(c.Actions, k.actions); err != nil {
		return nil, err
	}
	if k.endpoints {
		var left []string
		if s.Endpoints, left, err = EndpointTable(c.Endpoints, site); err != nil {
			return nil, err
		}
		if len(left) > 0 {
			s.Log.Warn("endpoints that the point cannot tell apart", "count", len(left), "first", left[0])
		}
	}
	return k.open(c, s)
}

// kinds returns which kinds a configuration gives.
func (c *PointConfig) kinds() (given []int) {
	for i := range kinds {
		if kinds[i].given(c) {
			given = append(given, i)
		}
	}
	return given
}

func kindNames() string {
	var names []string
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return strings.Join(names, ", ")
}

func readActions(names []string, otherwise []event.Action) ([]event.Action, error) {
	if len(names) == 0 {
		return otherwise, nil
	}
	var as []event.Action
	for _, name := range names {
		a, _ := event.ActionByName(name)
		if !slices.Contains(enforceable, a) {
			return nil, fmt.Errorf("actions: %q, must be block, limit, challenge or deceive", name)
		}
		as = append(as, a)
	}
	slices.Sort(as)
	return slices.Compact(as), nil
}

func isName(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		if !isWord(s[i]) && s[i] != '-' {
			return false
		}
	}
	return true
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
}
