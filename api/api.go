package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"weir/emit"
	"weir/pipeline"
)

// The limits on who asks. They are generous for people and probes, and keep a
// client that hangs or repeats itself from costing the engine anything.
const (
	maxConnections = 64 // of each listener
	maxSearches    = 2  // of the ledger's files, at a time; others wait
	maxBody        = 64 << 10
	maxHeader      = 16 << 10
	readTimeout    = 10 * time.Second
	writeTimeout   = 30 * time.Second
	idleTimeout    = time.Minute
	reloadTimeout  = 2 * time.Minute // a reload waits for the log to come to a boundary, and for a checkpoint
	stopTimeout    = 3 * time.Second // for requests under way when a run ends
)

// Config is what a Server answers from.
type Config struct {
	Listen string // host:port on loopback; empty: only the socket
	Socket string // path of the unix socket; empty: only TCP

	Ledger *emit.Ledger
	Points []*emit.Reconciler
	// Kept are the points that Points keep, in the same order: so that it can be
	// said which of them can hold what. New asks them; nothing does later.
	Kept []emit.Point
	// Status returns how the engine stands, nil before it has said so once.
	Status func() *pipeline.Status
	// Absent, if set, returns the sources whose log does not exist or cannot be
	// looked at, and why: with nothing to read they look idle.
	Absent func() map[string]error
	// Reload has the engine take rules and configuration anew and returns what
	// changed, or why the old ones stay; nil: this run cannot. One at a time.
	Reload func(ctx context.Context) (text string, err error)
	// Allow are the allow entries of the site file, in its order, as the ledger
	// counts what they hide.
	Allow []string
	// ASN returns the autonomous system of an address, 0 where it is not known;
	// nil: none is known.
	ASN     func(netip.Addr) uint32
	Version string
	Started time.Time
	Now     func() time.Time // nil: the wall clock
	Log     *slog.Logger     // nil: silent
}

// Validate reports every fault that can be seen without opening anything.
func (c Config) Validate() (err error) {
	if c.Listen == "" && c.Socket == "" {
		err = errors.Join(err, errors.New("neither an address nor a socket to listen on"))
	}
	if c.Listen != "" {
		err = errors.Join(err, CheckListen(c.Listen))
	}
	if len(c.Socket) > maxSocketPath {
		err = errors.Join(err, fmt.Errorf("socket %s: a path of %d bytes, must be at most %d; choose a shorter state directory", c.Socket, len(c.Socket), maxSocketPath))
	}
	if len(c.Kept) > 0 && len(c.Kept) != len(c.Points) {
		err = errors.Join(err, fmt.Errorf("%d points are kept, but there are %d", len(c.Points), len(c.Kept)))
	}
	if c.Ledger == nil || c.Status == nil {
		err = errors.Join(err, errors.New("no ledger or no status to answer from"))
	}
	return err
}

// Server answers on both listeners. It is used by one Run at a time.
type Server struct {
	cfg          Config
	capabilities []emit.Capabilities // of Kept
	searches     chan struct{}
	reloading    sync.Mutex
	metrics      http.Handler
	rate         rate
	refused      atomic.Int64 // connections over the limit
	requests     counters
}

// New prepares a server; nothing is opened yet.
func New(cfg Config) (*Server, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	a := &Server{cfg: cfg, searches: make(chan struct{}, maxSearches)}
	for _, p := range cfg.Kept {
		a.capabilities = append(a.capabilities, p.Capabilities())
	}
	var err error
	if a.metrics, err = a.newMetrics(); err != nil {
		return nil, err
	}
	return a, nil
}

// Run listens and answers until ctx ends; then requests under way get a few
// seconds to end. A listener that cannot be opened ends it at once.
func (a *Server) Run(ctx context.Context) (err error) {
	var listeners []*listener
	if a.cfg.Listen != "" {
		l, err := listenTCP(a.cfg.Listen, &a.refused)
		if err != nil {
			return err
		}
		listeners = append(listeners, l)
	}
	if a.cfg.Socket != "" {
		l, err := listenSocket(a.cfg.Socket, &a.refused)
		if err != nil {
			for _, open := range listeners {
				err = errors.Join(err, open.Close())
			}
			return err
		}
		listeners = append(listeners, l)
	}
	return a.serve(ctx, listeners)
}

// serve answers on open listeners and closes them.
func (a *Server) serve(ctx context.Context, listeners []*listener) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, len(listeners)+1)
	for _, l := range listeners {
		srv := a.server(l)
		go func() { ended <- a.answer(ctx, srv, l) }()
	}
	go func() { ended <- a.sample(ctx) }()
	for range len(listeners) + 1 {
		if e := <-ended; e != nil {
			err = errors.Join(err, e)
			cancel()
		}
	}
	return err
}

func (a *Server) server(l *listener) *http.Server {
	return &http.Server{
		Handler:           a.handler(l.changes),
		ReadTimeout:       readTimeout,
		ReadHeaderTimeout: readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(a.cfg.Log.Handler(), slog.LevelDebug),
	}
}

// answer serves one listener until ctx ends.
func (a *Server) answer(ctx context.Context, srv *http.Server, l *listener) error {
	closed := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		err := srv.Shutdown(grace)
		if errors.Is(err, context.DeadlineExceeded) {
			err = srv.Close()
		}
		closed <- err
	})
	a.cfg.Log.Info("the api answers", "at", l.name, "changes", l.changes)
	err := srv.Serve(l)
	if stop() { // it ended by itself
		return fmt.Errorf("api: %s: %w", l.name, errors.Join(err, srv.Close()))
	}
	if e := <-closed; e != nil && !errors.Is(e, net.ErrClosed) {
		return fmt.Errorf("api: %s: %w", l.name, e)
	}
	return nil
}
