package simulate

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Output is where and how a scenario is written.
type Output struct {
	Dir      string
	Compress string // zst (the default), gz or none
	// Each is called with every line after it was written, if it is there.
	Each func(*Line) error
	// Progress is called every so often with what has been written, if it is there.
	Progress func(lines int64, at, until time.Time)
}

// endings are those of a log's file by its compression.
var endings = map[string]string{"": ".zst", "zst": ".zst", "gz": ".gz", "none": ""}

// Validate says what is wrong with where a log is to be written.
func (o *Output) Validate() error {
	if _, ok := endings[o.Compress]; !ok {
		return fmt.Errorf("compress: %q, must be zst, gz or none", o.Compress)
	}
	if o.Dir == "" {
		return errors.New("out: must be given, the directory for the log")
	}
	entries, err := os.ReadDir(o.Dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("out: %w", err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("out: %s is not empty, it has %s", o.Dir, entries[0].Name())
	}
	return nil
}

// files beside the log.
const (
	networksFile = "networks.csv"
	rangesDir    = "ranges"
	hostingFile  = "hosting.txt"
	keyFile      = "key"
)

// Write writes a scenario into a directory, which must be empty or not there:
// log, labels, truth, and a configuration with which weir replays it.
func Write(ctx context.Context, sc *Scenario, o Options, out Output) (*Truth, error) {
	s, err := NewStream(sc, o)
	if err != nil {
		return nil, err
	}
	o = s.options
	if err := out.Validate(); err != nil {
		return nil, err
	}
	name := "access.log" + endings[out.Compress]
	if err := os.MkdirAll(out.Dir, 0o755); err != nil {
		return nil, err
	}
	if err := s.writeConfig(out.Dir); err != nil {
		return nil, err
	}
	truth := &Truth{
		Version: TruthVersion, Scenario: sc.Name, Seed: o.Seed, Scale: o.Scale, Variant: o.Variant, Log: name,
		Goals: sc.goals(o.Variant),
	}
	if err := s.writeLog(ctx, out, name, truth); err != nil {
		return nil, err
	}
	truth.Labels = s.Labels()
	if truth.Lines == 0 {
		return nil, fmt.Errorf("%s: nothing happens in %d days at scale %v", sc.Name, sc.Days, o.Scale)
	}
	return truth, truth.Write(filepath.Join(out.Dir, TruthFile))
}

// writeLog writes log and labels.
func (s *Stream) writeLog(ctx context.Context, out Output, name string, truth *Truth) (err error) {
	log, err := create(filepath.Join(out.Dir, name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	labels, err := create(filepath.Join(out.Dir, LabelsFile))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, labels.Close()) }()
	until := time.Unix(0, s.start+s.until).UTC()
	for {
		line, ok := s.Next()
		if !ok {
			return nil
		}
		if _, err := log.Write(append(line.Text, '\n')); err != nil {
			return err
		}
		if _, err := labels.WriteString(s.labels[line.Label].Name); err != nil {
			return err
		}
		if err := labels.WriteByte('\n'); err != nil {
			return err
		}
		if out.Each != nil {
			if err := out.Each(line); err != nil {
				return err
			}
		}
		if truth.Lines == 0 || truth.From.After(line.Time) {
			truth.From = line.Time
		}
		if truth.Until.Before(line.Time) {
			truth.Until = line.Time
		}
		if truth.Lines++; truth.Lines%8192 == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			if out.Progress != nil {
				out.Progress(truth.Lines, line.Time, until)
			}
		}
	}
}

// packed is a file, compressed as its name ends.
type packed struct {
	*bufio.Writer
	closers []io.Closer
}

// create makes a file that is compressed as its name says.
func create(path string) (*packed, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	p := &packed{closers: []io.Closer{f}}
	var to io.Writer = f
	switch filepath.Ext(path) {
	case ".zst":
		// One thread: the same bytes whatever the machine.
		z, err := zstd.NewWriter(f, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		p.closers, to = append(p.closers, z), z
	case ".gz":
		z, err := gzip.NewWriterLevel(f, gzip.BestSpeed)
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		p.closers, to = append(p.closers, z), z
	}
	p.Writer = bufio.NewWriterSize(to, 256<<10)
	return p, nil
}

// Close writes what is left.
func (p *packed) Close() error {
	err := p.Flush()
	for _, c := range slices.Backward(p.closers) {
		err = errors.Join(err, c.Close())
	}
	return err
}

// writeConfig writes what weir needs to replay the log.
func (s *Stream) writeConfig(dir string) error {
	if err := os.Mkdir(filepath.Join(dir, rangesDir), 0o755); err != nil {
		return err
	}
	var nets, hosting strings.Builder
	if err := writeNetworks(&nets); err != nil {
		return err
	}
	for _, n := range networks {
		if n.kind == "clouds" || n.kind == "proxies" || n.kind == "vpn" {
			fmt.Fprintln(&hosting, n.asn)
		}
	}
	first, _ := lowHigh(groups["crawlers"][0])
	ranges := fmt.Sprintf("%s/%d\n", first, 32-groups["crawlers"][0].size)
	key := stream(s.seed, "key")
	secret := make([]byte, 0, 32)
	for range 32 {
		secret = append(secret, byte(key.next()>>56))
	}
	for _, f := range []struct {
		name, text string
		mode       os.FileMode
	}{
		{ConfigFile, s.configText(), 0o644},
		{SiteFile, s.scenario.siteText(), 0o644},
		{networksFile, nets.String(), 0o644},
		{hostingFile, hosting.String(), 0o644},
		{filepath.Join(rangesDir, "googlebot.txt"), ranges, 0o644},
		{keyFile, hex.EncodeToString(secret) + "\n", 0o600},
	} {
		if err := os.WriteFile(filepath.Join(dir, f.name), []byte(f.text), f.mode); err != nil {
			return err
		}
	}
	return nil
}

// configText is weir.yaml.
func (s *Stream) configText() string {
	o := &s.options
	var b strings.Builder
	fmt.Fprintf(&b, "# of the made-up log of %s, seed %d, scale %v: weir replay -c weir.yaml access.log*\n", s.scenario.Name, o.Seed, o.Scale)
	fmt.Fprintf(&b, "sources:\n  - name: %s\n    format: %s\n    disorder: 2s\n", "shop", o.Format)
	if s.scenario.Site.Proxied && o.Format == FormatJSON {
		fmt.Fprintf(&b, "    trusted_proxies: [%s]\n", proxyAddress)
	}
	fmt.Fprintf(&b, "site: %s\n", SiteFile)
	fmt.Fprintf(&b, "enrich: {asn: %s, crawlers: [%s/], lookups: {hosting: %s}}\n", networksFile, rangesDir, hostingFile)
	fmt.Fprintf(&b, "key_file: %s # made of the seed, so that replays are equal: a key for nothing else\n", keyFile)
	return b.String()
}

// siteText is site.yaml.
func (sc *Scenario) siteText() string {
	var b strings.Builder
	b.WriteString("endpoints:\n")
	for _, name := range sortedKeys(sc.Site.Endpoints) {
		e := sc.Site.Endpoints[name]
		if e.Hidden {
			continue
		}
		for _, pattern := range e.patterns() {
			fmt.Fprintf(&b, "  - {pattern: %q", pattern)
			if e.Kind != "" {
				fmt.Fprintf(&b, ", kind: %s", e.Kind)
			}
			if e.Failure != "" {
				fmt.Fprintf(&b, ", failure: %q", e.Failure)
			}
			if e.Deprecated {
				b.WriteString(", deprecated: true")
			}
			b.WriteString("}\n")
		}
	}
	return b.String()
}

// goals are those that hold for what the log has.
func (sc *Scenario) goals(variant string) (all []Goal) {
	for _, name := range sortedKeys(sc.Goals) {
		g := sc.Goals[name]
		if g == nil || len(g.Variants) > 0 && !slices.Contains(g.Variants, cmp.Or(variant, "full")) {
			continue
		}
		all = append(all, Goal{
			Labels: g.Labels, Blocked: g.Blocked, Stopped: g.Stopped, FirstStop: time.Duration(g.FirstStop), Logins: g.Logins, Above: g.Above, With: g.With, Passes: g.Passes,
			MostBlocked: g.MostBlocked, MostMilder: g.MostMilder, MostAccounts: g.MostAccounts, Attacking: g.Attacking, Anywhere: g.Anywhere, Alerted: g.Alerted,
		})
	}
	return all
}
