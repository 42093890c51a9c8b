// Fetch resolves the jars of the Kafka that tests run, so that the tests need
// neither the network nor Maven.
package main

import (
	"fmt"
	"os"

	"weir/internal/kafkatest"
)

func main() {
	dir, err := kafkatest.Fetch(os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(dir)
}
