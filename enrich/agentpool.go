package enrich

import (
	"strings"
	"sync"

	"weir/event"
)

// agentPool keeps what agents are for all workers, so that each is read once
// and not once a worker. It is a cache: when it is full it begins anew.
type agentPool struct {
	key   *event.Key
	mu    sync.RWMutex
	known map[uint64]client
}

// poolSize is how many agents are kept at once.
const poolSize = 1 << 16

func newAgentPool(k *event.Key) *agentPool {
	return &agentPool{key: k, known: map[uint64]client{}}
}

// client reads an agent, or returns what was read of it before.
func (p *agentPool) client(agent string) client {
	h := p.key.HashString(agent)
	p.mu.RLock()
	c, ok := p.known[h]
	p.mu.RUnlock()
	if ok {
		return c
	}
	c = parseAgent(agent)
	c.family = strings.Clone(c.family) // it may be a piece of a batch
	p.mu.Lock()
	if len(p.known) >= poolSize {
		clear(p.known)
	}
	p.known[h] = c
	p.mu.Unlock()
	return c
}
