package ingest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"weir/event"
)

// formats is every log format weir reads.
var formats = map[string]func(Config) (Decoder, error){
	"combined":       newCombined,
	"vhost-combined": newVhostCombined,
	"haproxy":        newHAProxy,
	"alb":            newALB,
	"w3c":            newW3C,
	"pattern":        newPattern,
	"json":           newJSON,
	"nginx-json":     newNginxJSON,
	"caddy":          newCaddy,
	"traefik":        newTraefik,
	"cloudflare":     newCloudflare,
}

// inJSON are the formats whose lines are objects: fields and time may be mapped.
var inJSON = []string{"json", "nginx-json", "caddy", "traefik", "cloudflare"}

// meaning says in which formats a part of a Config has one.
var meaning = map[string][]string{
	"fields":       append([]string{"haproxy", "w3c"}, inJSON...),
	"time: field":  inJSON,
	"time: layout": append([]string{"haproxy", "w3c", "pattern"}, inJSON...),
	"pattern":      {"pattern"},
	"columns":      {"w3c"},
}

// Config says how the lines of a source are written.
type Config struct {
	Format  string            `yaml:"format,omitempty"`
	Fields  map[string]string `yaml:"fields,omitempty"`  // event field: its name in the log
	Time    TimeConfig        `yaml:"time,omitempty"`    // where the format does not say it
	Unwrap  string            `yaml:"unwrap,omitempty"`  // where the envelope of a log shipper holds the line
	Pattern string            `yaml:"pattern,omitempty"` // a format of one's own
	Columns []string          `yaml:"columns,omitempty"` // of a w3c log, where no #Fields: line gives them

	Key    *event.Key   `yaml:"-"` // marks what is cut; a fixed one if nil
	Extras event.Extras `yaml:"-"` // the names of x.NAME in Fields and Pattern
}

// TimeConfig says where the time stands and how it is written.
type TimeConfig struct {
	Field  string `yaml:"field,omitempty"`
	Layout string `yaml:"layout,omitempty"`
}

// Formats returns the names of all formats, sorted.
func Formats() []string { return slices.Sorted(maps.Keys(formats)) }

// name returns the format: a pattern needs no name.
func (c Config) name() string {
	if c.Format == "" && c.Pattern != "" {
		return "pattern"
	}
	return c.Format
}

// Validate reports every fault.
func (c Config) Validate() (err error) {
	name := c.name()
	_, known := formats[name]
	switch {
	case name == "":
		err = errors.Join(err, errors.New("format: missing; give a format or a pattern (weir inspect FILE guesses it)"))
	case !known:
		err = errors.Join(err, fmt.Errorf("format: %s, must be one of %s", name, strings.Join(Formats(), ", ")))
	}
	for _, part := range []struct {
		name  string
		given bool
	}{
		{"fields", len(c.Fields) > 0},
		{"time: field", c.Time.Field != ""},
		{"time: layout", c.Time.Layout != ""},
		{"pattern", c.Pattern != ""},
		{"columns", len(c.Columns) > 0},
	} {
		if part.given && known && !slices.Contains(meaning[part.name], name) {
			err = errors.Join(err, fmt.Errorf("%s: no meaning in format %s", part.name, name))
		}
	}
	if !knownLayout(c.Time.Layout) {
		err = errors.Join(err, fmt.Errorf("time: layout: %s, must be one of %s, or a layout of Go with 2006 in it", c.Time.Layout, strings.Join(layouts, ", ")))
	}
	if name == "pattern" {
		if _, e := parsePattern(c); e != nil {
			err = errors.Join(err, e)
		}
	}
	return err
}

// New returns a decoder for lines of the configured format.
func New(cfg Config) (Decoder, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Key == nil {
		cfg.Key = event.FixedKey()
	}
	decode, err := formats[cfg.name()](cfg)
	if err != nil || cfg.Unwrap == "" {
		return decode, err
	}
	return unwrap(cfg.Unwrap, decode)
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
