package main

import (
	"net/netip"
	"runtime/debug"
	"time"

	"weir/api"
	"weir/pipeline"
)

// newServer makes the API of a live run.
func (l *liveRun) newServer() (*api.Server, error) {
	s, err := api.New(api.Config{
		Listen: l.cfg.API.Listen, Socket: l.dir.file(socketFile), Ledger: l.ledger, Points: l.keepers, Kept: l.points,
		Status: func() *pipeline.Status { return l.status.Load() }, ASN: l.asnOf(), Version: version(), Started: time.Now(), Log: l.env.log,
	})
	if err != nil {
		return nil, usagef("api: %w", err)
	}
	return s, nil
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

// version is what the binary was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return s.Value[:12]
		}
	}
	return info.Main.Version
}
