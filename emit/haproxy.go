package emit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// HAProxyConfig is one or several HAProxies that use the same map files.
type HAProxyConfig struct {
	Map    string    `yaml:"map"`    // the map file; those of other actions and of endpoints lie beside it
	Socket Addresses `yaml:"socket"` // of the runtime API, a path or host:port, or a list of them
	Reload []string  `yaml:"reload"` // has HAProxy read its files again, where there is no socket
}

// Addresses is one address or a list of them.
type Addresses []string

// UnmarshalYAML reads a text or a list of texts.
func (a *Addresses) UnmarshalYAML(read func(any) error) error {
	var one string
	if read(&one) == nil {
		*a = Addresses{one}
		return nil
	}
	return read((*[]string)(a))
}

const (
	haproxyInterval       = 100 * time.Millisecond // with a socket: an entry is one short command
	haproxyReloadInterval = 2 * time.Second
	maxHAProxySockets     = 64
)

// haproxyPoint keeps the maps of HAProxies: in files, so that one that starts
// begins with them, and in the running processes.
type haproxyPoint struct {
	name    string
	cfg     HAProxyConfig
	caps    Capabilities
	maps    haproxyMaps
	sockets []*haproxySocket
	log     *slog.Logger
	swept   bool
	pending string // the file that says, without a socket, that HAProxy has not read its files again
}

func newHAProxy(cfg HAProxyConfig, s Setting) (Point, error) {
	if cfg.Map == "" {
		return nil, errors.New("haproxy: map is missing: the map file that its configuration names, such as /etc/haproxy/weir.map")
	}
	var err error
	if cfg.Map, err = filepath.Abs(s.Path(cfg.Map)); err != nil {
		return nil, fmt.Errorf("haproxy: map: %w", err)
	}
	if !isPlainPath(cfg.Map) {
		return nil, fmt.Errorf("haproxy: map: %q, must be a path of letters, digits and / . _ -", cfg.Map)
	}
	if len(cfg.Socket) > maxHAProxySockets {
		return nil, fmt.Errorf("haproxy: socket: %d, must be at most %d", len(cfg.Socket), maxHAProxySockets)
	}
	h := &haproxyPoint{name: s.Name, cfg: cfg, log: s.Log}
	h.pending = filepath.Join(filepath.Dir(cfg.Map), "."+filepath.Base(cfg.Map)+".pending")
	h.caps = Capabilities{
		Actions: s.Actions, Endpoints: s.Endpoints, Ends: true, MinInterval: haproxyInterval,
	}
	if len(cfg.Socket) == 0 {
		h.caps.MinInterval = haproxyReloadInterval
		h.caps.Unasked = "its files can be written; whether haproxy runs and uses them was not asked (socket: would)"
	}
	if h.caps.Capacity, err = capacityOf(s.Capacity); err != nil {
		return nil, fmt.Errorf("haproxy: %w", err)
	}
	if h.maps, err = newHAProxyMaps(cfg.Map, s.Actions, s.Endpoints); err != nil {
		return nil, fmt.Errorf("haproxy: %w", err)
	}
	for _, address := range cfg.Socket {
		if !strings.Contains(address, ":") {
			if address, err = filepath.Abs(s.Path(address)); err != nil {
				return nil, fmt.Errorf("haproxy: socket: %w", err)
			}
		}
		h.sockets = append(h.sockets, &haproxySocket{address: address})
	}
	return h, nil
}

func isPlainPath(p string) bool {
	return !strings.ContainsFunc(p, func(r rune) bool {
		return r > 0x7f || !isWord(byte(r)) && !strings.ContainsRune("/.-", r)
	})
}

// Name returns the point's name in the configuration.
func (h *haproxyPoint) Name() string { return h.name }

// Capabilities says what the point can hold.
func (h *haproxyPoint) Capabilities() Capabilities { return h.caps }

// Close does nothing: no connection is kept.
func (h *haproxyPoint) Close() error { return nil }

// Read returns what all files and processes hold alike; see alike.
func (h *haproxyPoint) Read(ctx context.Context) (List, error) {
	all, err := h.readFiles()
	if err != nil {
		return List{}, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	reached, err := h.reach(ctx, func(s *haproxySocket) error {
		es, err := h.readSocket(ctx, s)
		all = append(all, es...)
		return err
	})
	if err != nil {
		return List{}, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if _, err := os.Lstat(h.pending); err == nil && len(h.sockets) == 0 {
		return notKnown(all), nil
	}
	return alike(all, 1+reached), nil
}

// reach does something with each running HAProxy. One that cannot be reached is
// logged and left out, so that the others do not wait for it: if it is not there
// it enforces nothing, and begins with the files when it comes back. Only if
// none can be reached that is an error.
func (h *haproxyPoint) reach(ctx context.Context, do func(*haproxySocket) error) (reached int, err error) {
	var lost []error
	for _, s := range h.sockets {
		err := do(s)
		if err == nil {
			reached++
			continue
		}
		lost = append(lost, err)
		if now := time.Now(); len(h.sockets) > 1 && now.Sub(s.said) >= complainEvery {
			h.log.Error("a haproxy is left out", "error", err)
			s.said = now
		}
	}
	if reached == 0 || ctx.Err() != nil {
		err = errors.Join(lost...)
	}
	return reached, err
}

// readFiles reads the maps' files. What is not as weir wrote it differs from
// every list.
func (h *haproxyPoint) readFiles() (es []Entry, err error) {
	paths, _, err := readSealed(h.maps.paths.file)
	if err != nil && !errors.Is(err, errDamaged) {
		return nil, err
	}
	for _, m := range h.maps.all {
		body, entries, err := readSealed(m.file)
		switch {
		case errors.Is(err, errDamaged):
			es = append(es, unknownEntry)
			continue
		case err != nil:
			return nil, err
		}
		got, err := m.parse(body)
		if err != nil || len(got) != entries {
			got = append(got, unknownEntry)
		}
		es = append(es, got...)
	}
	return h.maps.unsure(es, string(paths) == string(h.maps.paths.body)), nil
}

// readSocket reads the maps of a running HAProxy.
func (h *haproxyPoint) readSocket(ctx context.Context, s *haproxySocket) (es []Entry, err error) {
	for _, m := range h.maps.all {
		lines, err := s.show(ctx, m.file, h.room())
		if err != nil {
			return nil, h.missing(err, m.file)
		}
		got, err := m.parse(lines)
		if err != nil {
			got = append(got, unknownEntry)
		}
		es = append(es, got...)
	}
	same := true
	if len(h.caps.Endpoints) > 0 {
		lines, err := s.show(ctx, h.maps.paths.file, maxEndpoints*4)
		if err != nil {
			return nil, h.missing(err, h.maps.paths.file)
		}
		same = string(lines) == string(h.maps.paths.body)
	}
	return h.maps.unsure(es, same), nil
}

// room is how many entries are read of a map at most.
func (h *haproxyPoint) room() int { return 2*h.caps.Capacity + 10_000 }

// missing says which lines of HAProxy's configuration are missing where it does
// not know a map.
func (h *haproxyPoint) missing(err error, file string) error {
	if !errors.Is(err, errNoSuchMap) {
		return err
	}
	return fmt.Errorf("%w: its configuration lacks the line \"%s\"; add the lines that weir points show %s --setup prints, and reload it",
		err, strings.TrimSpace(h.maps.lineOf(file)), h.name)
}

// Apply writes the files, then brings each running HAProxy to the same.
func (h *haproxyPoint) Apply(ctx context.Context, _, want List) error {
	held, refused, err := h.maps.render(want.Entries)
	if err != nil {
		return err
	}
	if err := h.writeFiles(held); err != nil {
		return err
	}
	if _, err := h.reach(ctx, func(s *haproxySocket) error { return h.bring(ctx, s, held) }); err != nil {
		return err
	}
	if len(h.sockets) == 0 && len(h.cfg.Reload) > 0 {
		if err := runCommand(ctx, h.cfg.Reload); err != nil {
			return fmt.Errorf("the maps are written, but haproxy could not be reloaded: %w", err)
		}
		if err := os.Remove(h.pending); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: %w", h.pending, err)
		}
	}
	return refused
}

// writeFiles replaces those files that differ.
func (h *haproxyPoint) writeFiles(held map[*haproxyMap][]Entry) error {
	files := []sealedFile{{h.maps.paths.file, h.maps.paths.body, h.maps.paths.entries}}
	for _, m := range h.maps.all {
		files = append(files, sealedFile{m.file, m.body(held[m]), len(held[m])})
	}
	for _, f := range files {
		if !h.swept {
			if err := sweepTemps(f.path); err != nil {
				return fmt.Errorf("temporary files that a crash left: %w", err)
			}
		}
		if same, err := f.same(); err != nil || same {
			if err != nil {
				return err
			}
			continue
		}
		if len(h.sockets) == 0 && len(h.cfg.Reload) > 0 {
			if err := replaceFile(h.pending, nil, 0o644); err != nil {
				return err
			}
		}
		if err := replaceSealed(f.path, f.body, f.entries); err != nil {
			return err
		}
	}
	h.swept = true
	return nil
}

// Try tests the files and asks each HAProxy for the maps. Where there are no
// files yet it makes them, empty: HAProxy does not start without them.
func (h *haproxyPoint) Try(ctx context.Context) error {
	var errs []error
	files := []sealedFile{{h.maps.paths.file, h.maps.paths.body, h.maps.paths.entries}}
	for _, m := range h.maps.all {
		files = append(files, sealedFile{path: m.file})
	}
	for _, f := range files {
		errs = append(errs, f.try())
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, s := range h.sockets {
		for _, m := range h.maps.all {
			if err := s.knows(ctx, m.file); err != nil {
				errs = append(errs, h.missing(err, m.file))
				break
			}
		}
	}
	switch {
	case len(h.sockets) > 0:
	case len(h.cfg.Reload) == 0:
		errs = append(errs, errors.New("haproxy: neither socket nor reload is given, so it would read the map only when somebody restarts it; "+
			"give socket: /run/haproxy/admin.sock"))
	default:
		_, err := findCommand(h.cfg.Reload[0])
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
