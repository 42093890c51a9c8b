package kafkatest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// node is one broker and controller.
type node struct {
	id         int
	dir        string // its properties, data and log
	plain      string // addresses
	controller string
	tls        string
	sasl       string
	process    *process // nil: not running
}

func (n *node) properties() string { return filepath.Join(n.dir, "server.properties") }

func (n *node) data() string { return filepath.Join(n.dir, "data") }

func (n *node) log() string { return filepath.Join(n.dir, "broker.log") }

// start starts the broker and returns at once. What it logs is appended to its
// log.
func (n *node) start(jvm []string) error {
	out, err := os.OpenFile(n.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer out.Close() // the process has its own descriptor
	cmd := exec.Command(jvm[0], append(jvm[1:len(jvm):len(jvm)], "kafka.Kafka", n.properties())...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = out, out, n.dir
	n.process, err = launch(cmd)
	return err
}

// kill ends the broker without a warning and waits until it is gone.
func (n *node) kill() {
	if n.process != nil {
		n.process.kill()
		n.process = nil
	}
}

// complaints returns the last lines of the broker's log that are no mere
// information.
func (n *node) complaints() string {
	b, err := os.ReadFile(n.log())
	if err != nil {
		return err.Error()
	}
	lines := slices.DeleteFunc(strings.Split(strings.TrimSpace(string(b)), "\n"), func(line string) bool {
		return strings.Contains(line, " INFO ")
	})
	return fmt.Sprintf("node %d complained last:\n%s", n.id, strings.Join(lines[max(0, len(lines)-30):], "\n"))
}

// process is a child that dies with its parent.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // why; to be read when done is closed
}

// launch starts cmd from a thread that lives as long as the process does: the
// kernel ends it with the thread, and Go ends threads that it does not need.
func launch(cmd *exec.Cmd) (*process, error) {
	cmd.SysProcAttr = dying
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

func (p *process) kill() {
	p.cmd.Process.Kill() // an error says that it has ended already
	<-p.done
}
