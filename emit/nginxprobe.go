package emit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	reloadPatience = 8 * time.Second // until new workers answer
	probeInterval  = 20 * time.Millisecond
	// nginx lets old workers accept for 100 ms beside the new ones. Only when
	// nothing but the new list has been seen for longer it is the one enforced.
	reloadOverlap = 200 * time.Millisecond
	probeTimeout  = 2 * time.Second // of one question
	maxProbe      = 256             // bytes of an answer
)

// errOtherList is that nginx was not reloaded since the file was written.
var errOtherList = errors.New("nginx runs with another list than the file's")

// nginxProbe asks nginx which list it runs with.
type nginxProbe struct {
	point  string // its name
	url    string
	client http.Client
}

func newNginxProbe(point, text string) (*nginxProbe, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, fmt.Errorf("probe: %q, must be a URL such as http://127.0.0.1/weir-generation", text)
	}
	p := &nginxProbe{point: point, url: text}
	// Each question is a new connection: a worker that goes on with the old list
	// would keep answering on an old one.
	p.client.Transport = &http.Transport{DisableKeepAlives: true}
	p.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return p, nil
}

func (p *nginxProbe) close() { p.client.CloseIdleConnections() }

// expect asks whether nginx runs with that generation. With patience it asks
// until nginx has answered with nothing else for a while, after a reload.
func (p *nginxProbe) expect(ctx context.Context, generation string, patience time.Duration) error {
	var since time.Time // the first of the answers that were right without a break
	for end := time.Now().Add(patience); ; {
		got, err := p.ask(ctx)
		switch {
		case err == nil && got == generation:
			if since.IsZero() {
				since = time.Now()
			}
			if patience == 0 || time.Since(since) >= reloadOverlap {
				return nil
			}
			err = fmt.Errorf("%w: not by all of its workers", errOtherList)
		case err != nil:
			since = time.Time{}
		default:
			since = time.Time{}
			err = fmt.Errorf("%w: it answers %.40q at %s, the file is %s", errOtherList, got, p.url, generation)
		}
		if time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (%w)", err, ctx.Err())
		case <-time.After(probeInterval):
		}
	}
}

func (p *nginxProbe) ask(ctx context.Context) (string, error) {
	ctx, stop := context.WithTimeout(ctx, probeTimeout)
	defer stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return "", err
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return "", fmt.Errorf("probe: nginx does not answer (does it run?): %w", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxProbe))
	if err != nil {
		return "", fmt.Errorf("probe: %s: %w", p.url, err)
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("probe: %s answers %s; is location %s there? weir points show %s --setup prints it", p.url, resp.Status, req.URL.EscapedPath(), p.point)
	}
	return strings.TrimSpace(string(b)), nil
}
