package emit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// NginxConfig is an nginx on this machine.
type NginxConfig struct {
	Conf   string   `yaml:"conf"`   // the file that weir writes and the operator includes in http { }
	Test   []string `yaml:"test"`   // default: nginx -t
	Reload []string `yaml:"reload"` // default: nginx -s reload
	Probe  string   `yaml:"probe"`  // a URL at which nginx says which list it runs with; empty: not asked
}

// nginxInterval is the time between two lists: each is a reload.
const nginxInterval = 2 * time.Second

// nginxPoint keeps the list of an nginx. Read and Apply never leave nginx with
// a configuration that it does not accept.
type nginxPoint struct {
	name   string
	cfg    NginxConfig
	caps   Capabilities
	lists  nginxLists
	probe  *nginxProbe // nil: not asked
	log    *slog.Logger
	swept  bool   // what a crash left was looked for
	backup string // the list in force while another one is taken over

	included bool   // nginx was seen to include the file, and nothing went wrong since
	untested string // why that could not be found out, as it was logged last
}

func newNginx(cfg NginxConfig, s Setting) (Point, error) {
	if cfg.Conf == "" {
		return nil, errors.New("nginx: conf is missing: the file that nginx includes, such as /etc/nginx/weir.conf")
	}
	var err error
	if cfg.Conf, err = filepath.Abs(s.Path(cfg.Conf)); err != nil {
		return nil, fmt.Errorf("nginx: conf: %w", err)
	}
	if strings.ContainsAny(cfg.Conf, "\"'\\{};$#\n\r\t *?[") {
		return nil, fmt.Errorf("nginx: conf: %q, must be a path without blanks, quotes and * ? [ { } ; $ #", cfg.Conf)
	}
	if len(cfg.Test) == 0 {
		cfg.Test = []string{"nginx", "-t"}
	}
	if len(cfg.Reload) == 0 {
		cfg.Reload = []string{"nginx", "-s", "reload"}
	}
	n := &nginxPoint{name: s.Name, cfg: cfg, log: s.Log}
	n.backup = filepath.Join(filepath.Dir(cfg.Conf), "."+filepath.Base(cfg.Conf)+".last")
	n.caps = Capabilities{
		Actions: s.Actions, Endpoints: s.Endpoints, Ends: true, MinInterval: nginxInterval,
	}
	if cfg.Probe == "" {
		n.caps.Unasked = "its configuration passes; whether nginx runs was not asked (probe: would)"
	}
	if n.caps.Capacity, err = capacityOf(s.Capacity); err != nil {
		return nil, fmt.Errorf("nginx: %w", err)
	}
	if n.lists, err = newNginxLists(s.Actions, s.Endpoints); err != nil {
		return nil, fmt.Errorf("nginx: %w", err)
	}
	if cfg.Probe != "" {
		if n.probe, err = newNginxProbe(s.Name, cfg.Probe); err != nil {
			return nil, fmt.Errorf("nginx: %w", err)
		}
	}
	return n, nil
}

// Name returns the point's name in the configuration.
func (n *nginxPoint) Name() string { return n.name }

// Capabilities says what the point can hold.
func (n *nginxPoint) Capabilities() Capabilities { return n.caps }

// Close frees the probe's connections.
func (n *nginxPoint) Close() error {
	if n.probe != nil {
		n.probe.close()
	}
	return nil
}

// Read returns what the file holds and nginx runs with. An entry whose end has
// passed is not enforced any more: it goes with the next list, and is no reason
// for a reload.
func (n *nginxPoint) Read(ctx context.Context) (List, error) {
	body, entries, err := readSealed(n.cfg.Conf)
	var es []Entry
	if err == nil {
		es, err = n.lists.parse(body)
	}
	if err == nil && len(es) != entries {
		err = fmt.Errorf("%w: it holds %d entries, its first line says %d", errDamaged, len(es), entries)
	}
	switch {
	case errors.Is(err, errDamaged):
		n.log.Warn("the list was changed by somebody else", "file", n.cfg.Conf, "error", err)
		return notKnown(nil), nil
	case err != nil:
		return List{}, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	now := time.Now()
	es = slices.DeleteFunc(es, func(e Entry) bool { return !e.Until.After(now) })
	if _, err := os.Lstat(n.backup); !errors.Is(err, fs.ErrNotExist) {
		return notKnown(es), nil // an Apply did not come to its end
	}
	if generation := generationOf(body); generation != "" {
		err := n.used(ctx, generation)
		switch {
		case errors.Is(err, errOtherList):
			n.log.Warn("nginx is to be reloaded again", "error", err)
			return notKnown(es), nil
		case errors.Is(err, ErrUnreadable):
			return List{}, err
		case err != nil:
			return List{}, fmt.Errorf("%w: %w", ErrUnreadable, err)
		}
	}
	list := List{Entries: es}
	list.Sort()
	return list, nil
}

// Apply writes the list, has nginx test it and reload. A list that nginx does
// not accept, or does not include, is taken back.
func (n *nginxPoint) Apply(ctx context.Context, _, want List) (err error) {
	defer func() { n.included = err == nil && n.included }() // after an error it is looked for again
	body, generation, err := n.lists.render(want.Entries)
	if err != nil {
		return err
	}
	if !n.swept {
		n.swept = true
		if err := errors.Join(sweepTemps(n.cfg.Conf), sweepTemps(n.backup)); err != nil {
			return fmt.Errorf("temporary files that a crash left: %w", err)
		}
	}
	if err := n.keep(); err != nil {
		return err
	}
	if err := replaceSealed(n.cfg.Conf, body, len(want.Entries)); err != nil {
		return err
	}
	if err := runCommand(ctx, n.cfg.Test); err != nil {
		return errors.Join(fmt.Errorf("nginx does not accept its configuration with the new list, the old list stays: %w", err), n.putBack())
	}
	if err := n.look(ctx); err != nil {
		return errors.Join(err, n.putBack())
	}
	if err := runCommand(ctx, n.cfg.Reload); err != nil {
		return fmt.Errorf("the list is written, but nginx could not be reloaded (does it run?): %w", err)
	}
	if n.probe != nil {
		if err := n.probe.expect(ctx, generation, reloadPatience); err != nil {
			return err
		}
	}
	if err := os.Remove(n.backup); err != nil {
		return fmt.Errorf("%s: %w", n.backup, err)
	}
	return nil
}

// keep puts the list that nginx runs with aside until the new one is taken over.
// One that is there already is of an Apply that did not come to its end: it is
// the last that nginx accepted.
func (n *nginxPoint) keep() error {
	_, _, err := readSealed(n.backup)
	if _, missing := os.Lstat(n.backup); missing == nil && err == nil {
		return nil
	}
	body, entries, err := readSealed(n.cfg.Conf)
	if errors.Is(err, errDamaged) {
		n.log.Warn("the list was changed by somebody else and is written anew", "error", err)
		body, entries, err = nil, 0, nil
	}
	if err != nil {
		return err
	}
	if generationOf(body) == "" {
		if body, _, err = n.lists.render(nil); err != nil {
			return err
		}
		entries = 0
	}
	return replaceFile(n.backup, seal(body, entries), 0o644)
}

// putBack makes the list that was put aside the list again.
func (n *nginxPoint) putBack() error {
	if err := os.Rename(n.backup, n.cfg.Conf); err != nil {
		return fmt.Errorf("the old list could not be put back: %w", err)
	}
	return nil
}

// Try tests paths, programs and the probe. Where there is no file yet it makes
// one with an empty list, since nginx does not start without a file that it is
// to include.
func (n *nginxPoint) Try(ctx context.Context) error {
	body, _, err := readSealed(n.cfg.Conf)
	if errors.Is(err, errDamaged) {
		err = nil // it will be written anew
	}
	if err == nil {
		err = tryReplace(n.cfg.Conf)
	}
	if err == nil && generationOf(body) == "" {
		err = n.begin()
		body, _, _ = readSealed(n.cfg.Conf)
	}
	if err != nil {
		return err
	}
	n.included = false
	err = n.test(ctx)
	if _, e := findCommand(n.cfg.Reload[0]); e != nil {
		err = errors.Join(err, e)
	}
	if err == nil && n.probe != nil {
		err = n.probe.expect(ctx, generationOf(body), 0)
	}
	return err
}

// begin writes an empty list.
func (n *nginxPoint) begin() error {
	body, _, err := n.lists.render(nil)
	if err != nil {
		return err
	}
	return replaceSealed(n.cfg.Conf, body, 0)
}
