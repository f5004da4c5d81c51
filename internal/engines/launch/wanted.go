package launch

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
)

// Engines are all of them, in the order in which they are started.
func Engines() []string { return []string{RedisEngine, MySQL, KafkaEngine} }

// Home is where a background server of the engine lives below the base directory.
func Home(base, engine string) string {
	if engine == KafkaEngine {
		return kafka{dir: filepath.Join(base, engine)}.node(0)
	}
	return filepath.Join(base, engine)
}

// Single is one server of the engine in its Home. Kafka's takes the two ports after its own as well.
func Single(ctx context.Context, engine, base string, port int, out io.Writer) (Spec, error) {
	switch engine {
	case RedisEngine:
		return Redis(Home(base, engine), port)
	case MySQL:
		return MariaDB(Home(base, engine), port)
	case KafkaEngine:
		specs, err := Kafka(ctx, filepath.Join(base, engine), []int{port, port + 1, port + 2}, KafkaOptions{Heap: "512m"}, out)
		if err != nil {
			return Spec{}, err
		}
		return specs[0], nil
	}
	return Spec{}, fmt.Errorf("no engine %q: there are %v", engine, Engines())
}
