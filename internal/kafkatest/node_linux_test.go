package kafkatest

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"
)

// It runs itself as the test that is killed, which starts a process that would
// go on for as long as its input is open.
func TestABrokerDiesWithATestThatIsKilled(t *testing.T) {
	if os.Getenv("KAFKATEST_PARENT") != "" {
		cmd := exec.Command("cat")
		cmd.Stdin, cmd.Stdout = os.Stdin, os.Stdout
		p, err := launch(cmd)
		if err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString("started\n")
		<-p.done
		return
	}
	parent := exec.Command(os.Args[0], "-test.run=^TestABrokerDiesWithATestThatIsKilled$")
	parent.Env = append(os.Environ(), "KAFKATEST_PARENT=1")
	in, open, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	out, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	parent.Stdin, parent.Stdout = in, w
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	w.Close()
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); err != nil || line != "started\n" {
		t.Fatalf("the test that is to be killed says %q (%v)", line, err)
	}
	parent.Process.Kill()
	parent.Wait()
	// The output ends when the last one that holds it has.
	if err := out.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, lines); err != nil {
		t.Errorf("the process outlives the test that started it: %v", err)
	}
}
