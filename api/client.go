package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"syscall"
)

// ErrNotRunning says that no weir answers at the socket.
var ErrNotRunning = errors.New("weir is not running")

// maxAnswer is how much of an answer a client reads.
const maxAnswer = 64 << 20

// Client asks a running weir by its socket.
type Client struct {
	socket string
	http   *http.Client
	slow   *http.Client // for what takes longer
}

// NewClient makes a client of the weir whose socket is at path.
func NewClient(path string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
	transport := &http.Transport{DialContext: dial, DisableKeepAlives: true, Proxy: nil}
	return &Client{
		socket: path,
		http:   &http.Client{Timeout: writeTimeout, Transport: transport},
		slow:   &http.Client{Timeout: reloadTimeout + writeTimeout, Transport: transport},
	}
}

// Status asks how weir stands.
func (c *Client) Status(ctx context.Context) (s *Status, err error) {
	s = &Status{}
	return s, c.ask(ctx, http.MethodGet, "/api/v1/status", nil, nil, s)
}

// Decisions asks for lines of the ledger.
func (c *Client) Decisions(ctx context.Context, q DecisionsQuery) (d *Decisions, err error) {
	d = &Decisions{}
	return d, c.ask(ctx, http.MethodGet, "/api/v1/decisions", q.values(), nil, d)
}

// Why asks for every decision that covers a target, as ParseTarget reads it.
func (c *Client) Why(ctx context.Context, target string) (w *Why, err error) {
	w = &Why{}
	return w, c.ask(ctx, http.MethodGet, "/api/v1/why", url.Values{"target": {target}}, nil, w)
}

// Block asks for a block by hand.
func (c *Client) Block(ctx context.Context, o Order) (d *Done, err error) {
	return c.order(ctx, "/api/v1/block", o)
}

// Unblock withdraws what covers a target.
func (c *Client) Unblock(ctx context.Context, o Order) (d *Done, err error) {
	return c.order(ctx, "/api/v1/unblock", o)
}

// Approve lets a rule go on whose breaker is open, or one decision that was held.
func (c *Client) Approve(ctx context.Context, o Order) (d *Done, err error) {
	return c.order(ctx, "/api/v1/approve", o)
}

// Stop empties every list until Resume.
func (c *Client) Stop(ctx context.Context, o Order) (d *Done, err error) {
	return c.order(ctx, "/api/v1/stop", o)
}

// Resume ends Stop.
func (c *Client) Resume(ctx context.Context, o Order) (d *Done, err error) {
	return c.order(ctx, "/api/v1/resume", o)
}

// Reload has the engine take rules and configuration anew; Done's Text says what
// changed.
func (c *Client) Reload(ctx context.Context, o Order) (d *Done, err error) {
	d = &Done{}
	return d, c.askBy(ctx, c.slow, http.MethodPost, "/api/v1/reload", nil, o, d)
}

func (c *Client) order(ctx context.Context, path string, o Order) (*Done, error) {
	d := &Done{}
	return d, c.ask(ctx, http.MethodPost, path, nil, o, d)
}

// ask sends a request and decodes the answer into doc.
func (c *Client) ask(ctx context.Context, method, path string, query url.Values, body, doc any) error {
	return c.askBy(ctx, c.http, method, path, query, body, doc)
}

func (c *Client) askBy(ctx context.Context, by *http.Client, method, path string, query url.Values, body, doc any) (err error) {
	var send io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("api: %w", err)
		}
		send = bytes.NewReader(b)
	}
	u := url.URL{Scheme: "http", Host: "localhost", Path: path, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), send)
	if err != nil {
		return fmt.Errorf("api: %w", err)
	}
	resp, err := by.Do(req)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: nothing answers at %s", ErrNotRunning, c.socket)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s may be used by the user that weir runs as, and by root (sudo): %w", c.socket, fs.ErrPermission)
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		return fmt.Errorf("weir did not answer at %s within %s", c.socket, by.Timeout)
	case err != nil:
		return fmt.Errorf("weir at %s: %w", c.socket, errors.Unwrap(err))
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("weir at %s: %w", c.socket, err)
	}
	if resp.StatusCode != http.StatusOK {
		var p struct {
			Error string `json:"error"`
		}
		if err := json.Unmarshal(b, &p); err != nil || p.Error == "" {
			return fmt.Errorf("weir at %s answered with status %d", c.socket, resp.StatusCode)
		}
		return &Refusal{resp.StatusCode, p.Error}
	}
	if err := json.Unmarshal(b, doc); err != nil {
		return fmt.Errorf("weir at %s: an answer that this version does not understand: %w", c.socket, err)
	}
	return nil
}

// Refusal is an answer that says why weir did not do what it was asked for.
type Refusal struct {
	Code int
	Text string
}

func (r *Refusal) Error() string { return r.Text }
