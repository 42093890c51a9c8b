package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"weir/event"
	"weir/ingest"
	"weir/internal/broker"
	"weir/pipeline"
	"weir/rules"
)

type sourceConfig struct {
	Name           string       `yaml:"name"`
	File           fileConfig   `yaml:"file"`
	Kafka          *kafkaConfig `yaml:"kafka"`
	ingest.Config  `yaml:",inline"`
	TrustedProxies []string `yaml:"trusted_proxies"`
	Disorder       string   `yaml:"disorder"`
	MaxLateness    string   `yaml:"max_lateness"`
	Outcomes       string   `yaml:"outcomes"` // none: the log does not say what came of a request
	Only           string   `yaml:"only"`
	Slow           bool     `yaml:"slow"` // its batches come minutes late: it never holds the clock back
}

// fileConfig names the files of a source: a path or a glob. A live run follows
// them.
type fileConfig struct {
	Path   string `yaml:"path"`
	Follow bool   `yaml:"follow"`
	Start  string `yaml:"start"` // of a new state: begin (with the rotations) or end
}

// kafkaConfig names a topic and how to reach it.
type kafkaConfig struct {
	broker.Config `yaml:",inline"`
	Topic         string `yaml:"topic"`
	Start         string `yaml:"start"` // of a new state: end, begin or -1h
	Group         string `yaml:"group"` // under which the position is shown to the broker's tools
}

// faults reports what is wrong with a source, as far as its configuration says.
func (s *sourceConfig) faults(c *config) (faults []error) {
	note := func(err error) {
		if err != nil {
			faults = append(faults, err)
		}
	}
	x, err := c.extras()
	if err != nil {
		x = nil // told once, of all sources together
	}
	opt := c.ruleOptions(x)
	_, err = s.decoder(event.FixedKey(), x)
	note(err)
	_, err = durationOf("disorder", s.Disorder, defaultDisorder, pipeline.MaxDisorder)
	note(err)
	_, err = durationOf("max_lateness", s.MaxLateness, defaultMaxLateness, pipeline.MaxLateness)
	note(err)
	_, err = s.proxies()
	note(err)
	if s.Outcomes != "" && s.Outcomes != noOutcomes {
		note(fmt.Errorf("outcomes: %s, must be %s or not be there", s.Outcomes, noOutcomes))
	}
	_, err = s.only(opt)
	note(err)
	if s.Kafka != nil && s.File.Path != "" {
		note(errors.New("kafka and file: a source is one of them"))
	}
	if s.Kafka != nil {
		note(s.Kafka.validate())
	}
	if s.File.Start != "" && s.File.Start != "begin" && s.File.Start != "end" {
		note(fmt.Errorf("file: start: %s, must be begin or end", s.File.Start))
	}
	return faults
}

// unknownFormat reports whether the lines themselves must tell how they are read.
func (s *sourceConfig) unknownFormat() bool {
	return s.Config.Format == "" && s.Config.Pattern == "" || s.Config.Format == "w3c" && len(s.Config.Columns) == 0
}

// tellsRefusals reports whether the source's lines can say that an enforcement
// point refused a request.
func (s *sourceConfig) tellsRefusals() bool {
	field := event.FieldRefused.String()
	switch s.Config.Format {
	case "combined", "vhost-combined":
		return false
	case "haproxy", "alb", "w3c":
		return s.Config.Fields[field] != ""
	}
	return s.Config.Pattern == "" || strings.Contains(s.Config.Pattern, "<"+field+">")
}

// namesAccounts reports whether the configuration says where a log has the names
// of accounts. A format's own place for them, such as the user of combined, is
// empty on nearly every site.
func (c *config) namesAccounts() bool {
	field := event.FieldCredential.String()
	return slices.ContainsFunc(c.Sources, func(s sourceConfig) bool {
		return s.Config.Fields[field] != "" || strings.Contains(s.Config.Pattern, "<"+field+">")
	})
}

func (s *sourceConfig) formatName() string {
	if s.Config.Format == "" && s.Config.Pattern != "" {
		return "pattern"
	}
	return s.Config.Format
}

func (s *sourceConfig) decoder(k *event.Key, x event.Extras) (ingest.Decoder, error) {
	cfg := s.Config
	if cfg.Format == "" && cfg.Pattern == "" && len(cfg.Fields) == 0 && len(cfg.Columns) == 0 && cfg.Time == (ingest.TimeConfig{}) && cfg.Unwrap == "" {
		return nil, nil // the lines will tell, and nothing is said that they would overrule
	}
	cfg.Key, cfg.Extras = k, x
	if cfg.Format == "w3c" && len(cfg.Columns) == 0 {
		return nil, cfg.Validate() // the file's #Fields: line will tell
	}
	return ingest.New(cfg)
}

// durationOf reads a duration between 0 and a limit; an empty text is the default.
func durationOf(name, text string, byDefault, limit time.Duration) (time.Duration, error) {
	if text == "" {
		return byDefault, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > limit {
		return byDefault, fmt.Errorf("%s: %q, must be a duration up to %s, such as 500ms, 2s or 10m", name, text, short(limit))
	}
	return d, nil
}

// noOutcomes declares that a source's log does not say what came of a request.
const noOutcomes = "none"

// short writes a duration without the zeros behind it.
func short(d time.Duration) string {
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if cut, ok := strings.CutSuffix(s, zero); ok {
			s = cut + zero[:1]
		}
	}
	return s
}

func (s *sourceConfig) proxies() (ps []netip.Prefix, err error) {
	for _, text := range s.TrustedProxies {
		p, e := prefixOf(text)
		if e != nil {
			err = errors.Join(err, fmt.Errorf("trusted_proxies: %w", e))
			continue
		}
		ps = append(ps, p)
	}
	return ps, err
}

// prefixOf reads an address or a prefix.
func prefixOf(text string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p, nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("%q, must be an address or a prefix such as 10.0.0.0/8", text)
	}
	return netip.PrefixFrom(a, a.BitLen()), nil
}

func (s *sourceConfig) only(opt rules.Options) (*rules.EventCond, error) {
	if s.Only == "" {
		return nil, nil
	}
	c, err := rules.CompileEvent(s.Only, opt)
	if err != nil {
		return nil, fmt.Errorf("only: %w", err)
	}
	return c, nil
}

// source puts a source together.
func (s *sourceConfig) source(src ingest.Source, k *event.Key, x event.Extras, opt rules.Options) (p pipeline.Source, err error) {
	p.Source, p.Unjudged, p.Slow = src, s.Outcomes == noOutcomes, s.Slow
	var errs [5]error
	p.Decode, errs[0] = s.decoder(k, x)
	p.Disorder, errs[1] = durationOf("disorder", s.Disorder, defaultDisorder, pipeline.MaxDisorder)
	p.MaxLateness, errs[2] = durationOf("max_lateness", s.MaxLateness, defaultMaxLateness, pipeline.MaxLateness)
	p.Enrich.TrustedProxies, errs[3] = s.proxies()
	p.Only, errs[4] = s.only(opt)
	if err := errors.Join(errs[:]...); err != nil {
		return p, usagef("source %s: %w", s.Name, err)
	}
	return p, nil
}
