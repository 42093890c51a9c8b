package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"weir/event"
	"weir/ingest"
	"weir/pipeline"
	"weir/rules"
)

type sourceConfig struct {
	Name           string     `yaml:"name"`
	File           fileConfig `yaml:"file"`
	ingest.Config  `yaml:",inline"`
	TrustedProxies []string `yaml:"trusted_proxies"`
	Disorder       string   `yaml:"disorder"`
	MaxLateness    string   `yaml:"max_lateness"`
	Outcomes       string   `yaml:"outcomes"` // none: the log does not say what came of a request
	Only           string   `yaml:"only"`
}

// fileConfig names the files of a source: a path or a glob.
type fileConfig struct {
	Path string `yaml:"path"`
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
	return faults
}

func (s *sourceConfig) decoder(k *event.Key, x event.Extras) (ingest.Decoder, error) {
	cfg := s.Config
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
		p, e := netip.ParsePrefix(text)
		if e != nil {
			if a, e := netip.ParseAddr(text); e == nil {
				ps = append(ps, netip.PrefixFrom(a, a.BitLen()))
				continue
			}
			err = errors.Join(err, fmt.Errorf("trusted_proxies: %q, must be an address or a prefix such as 10.0.0.0/8", text))
			continue
		}
		ps = append(ps, p)
	}
	return ps, err
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
	p.Source, p.Unjudged = src, s.Outcomes == noOutcomes
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
