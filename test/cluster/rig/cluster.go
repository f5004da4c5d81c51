package rig

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"penstock/internal/engines/launch"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// Process is a process to start: its name and its roles as --target takes them.
type Process struct{ Name, Roles string }

// Plan says what a cluster is made of.
type Plan struct {
	// Binary is the path of penstock; see Binary.
	Binary string
	// Processes are started in this order; the first makes the schema and the keys, serves the operators and is waited for.
	Processes []Process
	// Env are the settings that all have in common, "PENSTOCK_STOCK=…": the engines, above all.
	Env []string
	// Sandbox, if not nil, is given the address of the payment provider and returns the one that processes call instead.
	Sandbox func(addr string) string
}

// Cluster is running processes and the router before them.
type Cluster struct {
	Nodes []*Node
	// URL is the router's: where buyers and the payment provider's callbacks go. Operator is an operator's token.
	URL, Operator string

	t    *testing.T
	plan Plan
	env  []string
}

// Binary builds penstock once for a test, unless CRASH_BINARY names one, from the root of the checkout.
func Binary(t *testing.T) string {
	t.Helper()
	if given := os.Getenv("CRASH_BINARY"); given != "" {
		if filepath.IsAbs(given) {
			return given
		}
		return filepath.Join("..", "..", given)
	}
	to := filepath.Join(t.TempDir(), "penstock")
	if out, err := exec.Command("go", "build", "-o", to, "penstock/cmd/penstock").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return to
}

// New starts everything and returns when every process is ready.
func New(t *testing.T, plan Plan) *Cluster {
	t.Helper()
	c := &Cluster{t: t, plan: plan}
	ports, err := launch.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	sandbox := launch.Loopback(ports[0])
	callback, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	to := sandbox
	if plan.Sandbox != nil {
		to = plan.Sandbox(sandbox)
	}
	c.env = append([]string{
		"PENSTOCK_KEYS_FILE=" + filepath.Join(t.TempDir(), "keys.json"), "PENSTOCK_PAYMENT_SECRET=" + secret,
		"PENSTOCK_PAYMENT_SANDBOX=http://" + to, "PENSTOCK_PAYMENT_CALLBACK=http://" + callback.Addr().String(),
		"PENSTOCK_LIMITS_IP=off", "PENSTOCK_LIMITS_USER=off", "PENSTOCK_LIMITS_API=off", "PENSTOCK_LIMITS_ATTEMPT=off",
	}, plan.Env...)
	for _, p := range plan.Processes {
		n := newNode(t, p, c.env)
		if slices.Contains(n.roles, "sandbox") {
			n.env = append(n.env, "PENSTOCK_LISTEN_SANDBOX="+sandbox)
		}
		n.binary = plan.Binary
		c.Nodes = append(c.Nodes, n)
	}
	c.Nodes[0].Start(t) // makes the schema and the keys; the others find them
	for _, n := range c.Nodes[1:] {
		n.launch(t)
	}
	for _, n := range c.Nodes {
		if err := n.wait(); err != nil {
			t.Fatalf("%s did not become ready: %v\n%s", n.Name, err, n.Tail())
		}
	}
	c.route(callback)
	c.Operator = strings.TrimSpace(c.command("token", "--user", "op", "--role", "operator", "--for", "12h"))
	return c
}

// route puts the router before the processes, and on the address of the callbacks too.
func (c *Cluster) route(callback net.Listener) {
	r := newRouter(c.t, c.Nodes)
	c.URL = r.URL
	server := &http.Server{Handler: r.Config.Handler}
	go server.Serve(callback) //nolint:errcheck // ends with its listener
	c.t.Cleanup(func() { server.Close() })
}

// Tokens are those of the buyers buyer-1 … buyer-n.
func (c *Cluster) Tokens(n int) []string {
	c.t.Helper()
	return strings.Fields(c.command("token", "--user", "buyer", "--for", "12h", "--count", fmt.Sprint(n)))
}

// command runs a subcommand with the cluster's keys.
func (c *Cluster) command(args ...string) string {
	c.t.Helper()
	cmd := exec.Command(c.plan.Binary, args...)
	cmd.Env = append(os.Environ(), c.Nodes[0].env...)
	out, err := cmd.Output()
	if err != nil {
		c.t.Fatalf("penstock %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// AdminURL is where operators are served.
func (c *Cluster) AdminURL() string { return "http://" + c.Nodes[0].Addresses().Admin }

// Admin calls the operators' API.
func (c *Cluster) Admin(method, path string, body any) (int, []byte, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return 0, nil, err
	}
	req, err := http.NewRequest(method, c.AdminURL()+path, bytes.NewReader(b))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.Operator)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	return resp.StatusCode, out, err
}

// Node is the process of this name.
func (c *Cluster) Node(name string) *Node {
	for _, n := range c.Nodes {
		if n.Name == name {
			return n
		}
	}
	panic("no process is named " + name)
}

// Kill ends all processes.
func (c *Cluster) Kill() {
	for _, n := range c.Nodes {
		n.Signal(syscall.SIGCONT)
		n.Kill()
	}
}
