package main

import (
	"net/netip"
	"os"
	"strings"
	"time"

	"weir/api"
	"weir/pipeline"
)

// newServer makes the API of a live run.
func (l *liveRun) newServer() (*api.Server, error) {
	s, err := api.New(api.Config{
		Listen: l.cfg.API.Listen, Socket: l.dir.file(socketFile), Ledger: l.ledger, Points: l.keepers, Kept: l.points,
		Status: func() *pipeline.Status { return l.status.Load() }, Absent: l.cfg.absentLogs, Reload: l.reload, Allow: allowTexts(l.guards.Allow), ASN: l.asnOf(), Version: version(), Started: time.Now(), Log: l.env.log,
	})
	if err != nil {
		return nil, usagef("api: %w", err)
	}
	return s, nil
}

// absentLogs returns the sources that follow a file of one name which is not
// there. A glob may well match nothing for a time.
func (c *config) absentLogs() map[string]error {
	absent := map[string]error{}
	for i := range c.Sources {
		f := c.Sources[i].File.Path
		if f == "" || strings.ContainsAny(f, `*?[`) {
			continue
		}
		if _, err := os.Stat(c.path(f)); err != nil {
			absent[c.Sources[i].Name] = err
		}
	}
	return absent
}

// asnOf returns what tells an address's autonomous system; nil where no table
// was given.
func (g *engine) asnOf() func(netip.Addr) uint32 {
	if g.cfg.Enrich.ASN == "" {
		return nil
	}
	return func(a netip.Addr) uint32 {
		asn, _, _ := g.tables.Network(a)
		return asn
	}
}
