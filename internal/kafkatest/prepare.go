package kafkatest

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

// clusterID names every cluster of tests: 16 bytes.
var clusterID = base64.RawURLEncoding.EncodeToString([]byte("weir kafka tests"))

// prepare writes what the nodes of a cluster need and formats their storage.
func prepare(t testing.TB, opt Options) (*Cluster, error) {
	if opt.Nodes == 0 {
		opt.Nodes = 1
	}
	if opt.Nodes != 1 && opt.Nodes != 3 {
		return nil, fmt.Errorf("nodes: %d, must be 1 or 3", opt.Nodes)
	}
	java, err := program("java")
	if err != nil {
		return nil, err
	}
	dir := t.TempDir()
	c := &Cluster{t: t, ca: filepath.Join(dir, "ca.pem"), store: filepath.Join(dir, "broker.pem")}
	config := filepath.Join(dir, "log4j2.properties")
	if err := errors.Join(os.WriteFile(config, logging, 0o644), writeCertificates(c.ca, c.store)); err != nil {
		return nil, err
	}
	// The first compiler only: a broker of a test does not live long enough to
	// gain from the second one, and starts a good deal faster without it.
	heap := "-Xmx400m"
	if opt.Nodes == 3 {
		heap = "-Xmx256m"
	}
	c.jvm = []string{java, "-Xms64m", heap, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
		"-Dlog4j2.configurationFile=" + config, "-cp", filepath.Join(Jars(t), "*")}
	ports, err := free(4 * opt.Nodes)
	if err != nil {
		return nil, err
	}
	for i := range opt.Nodes {
		p := ports[4*i:]
		n := &node{id: i + 1, dir: filepath.Join(dir, "node-"+strconv.Itoa(i+1)), plain: p[0], controller: p[1]}
		if opt.TLS {
			n.tls = p[2]
		}
		if opt.SASL {
			n.sasl = p[3]
		}
		c.nodes = append(c.nodes, n)
	}
	faults := make([]error, opt.Nodes)
	var wg sync.WaitGroup
	for i, n := range c.nodes {
		wg.Go(func() { faults[i] = c.format(n) })
	}
	wg.Wait()
	return c, errors.Join(faults...)
}

// format writes a node's properties and formats its storage.
func (c *Cluster) format(n *node) error {
	if err := os.MkdirAll(n.dir, 0o755); err != nil {
		return err
	}
	if err := writeProperties(n.properties(), c.properties(n)); err != nil {
		return err
	}
	args := append(c.jvm[1:len(c.jvm):len(c.jvm)], "kafka.tools.StorageTool", "format", "-t", clusterID, "-c", n.properties())
	if n.sasl != "" {
		for _, m := range []string{"256", "512"} {
			args = append(args, "--add-scram", fmt.Sprintf("SCRAM-SHA-%s=[name=%s,password=%s]", m, User, Password))
		}
	}
	if out, err := exec.Command(c.jvm[0], args...).CombinedOutput(); err != nil {
		return fmt.Errorf("formatting node %d: %w\n%s", n.id, err, out)
	}
	return nil
}

// free returns n addresses on loopback that nobody listens at. A broker that was
// killed must find its port free again, so they are below those that Linux gives
// to outgoing connections: a client that dials a dead one of these can even
// happen to connect to itself.
func free(n int) (addrs []string, err error) {
	for range 1000 {
		if len(addrs) == n {
			return addrs, nil
		}
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(12000+rand.IntN(20000))))
		if err != nil {
			continue // taken
		}
		defer l.Close() // at the end, lest one port be found twice
		addrs = append(addrs, l.Addr().String())
	}
	return nil, fmt.Errorf("no %d free ports between 12000 and 31999", n)
}
