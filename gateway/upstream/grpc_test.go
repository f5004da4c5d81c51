package upstream

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"penstock/internal/faultproxy"
)

// prices describes shop.v1.Prices: Get(Ask{sku, quantity, tags}) → Price{sku, amount, note}, and a method that streams.
func prices() *descriptorpb.FileDescriptorSet {
	field := func(name string, n int32, kind descriptorpb.FieldDescriptorProto_Type, label descriptorpb.FieldDescriptorProto_Label) *descriptorpb.FieldDescriptorProto {
		return &descriptorpb.FieldDescriptorProto{Name: &name, JsonName: &name, Number: &n, Type: &kind, Label: &label}
	}
	const text, number, long = descriptorpb.FieldDescriptorProto_TYPE_STRING, descriptorpb.FieldDescriptorProto_TYPE_INT32, descriptorpb.FieldDescriptorProto_TYPE_INT64
	const one, many = descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL, descriptorpb.FieldDescriptorProto_LABEL_REPEATED
	str := proto.String
	return &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{{
		Name: str("prices.proto"), Package: str("shop.v1"), Syntax: str("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{
			{Name: str("Ask"), Field: []*descriptorpb.FieldDescriptorProto{field("sku", 1, text, one), field("quantity", 2, number, one), field("tags", 3, text, many)}},
			{Name: str("Price"), Field: []*descriptorpb.FieldDescriptorProto{field("sku", 1, text, one), field("amount", 2, long, one), field("note", 3, text, one)}},
		},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: str("Prices"), Method: []*descriptorpb.MethodDescriptorProto{
			{Name: str("Get"), InputType: str(".shop.v1.Ask"), OutputType: str(".shop.v1.Price")},
			{Name: str("Watch"), InputType: str(".shop.v1.Ask"), OutputType: str(".shop.v1.Price"), ServerStreaming: proto.Bool(true)},
		}}},
	}}}
}

func descriptors(t testing.TB) (file string, ask, price protoreflect.MessageDescriptor) {
	t.Helper()
	set := prices()
	files, err := protodesc.NewFiles(set)
	if err != nil {
		t.Fatal(err)
	}
	text, err := proto.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "prices.pb")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	d, _ := files.FindDescriptorByName("shop.v1.Ask")
	p, _ := files.FindDescriptorByName("shop.v1.Price")
	return file, d.(protoreflect.MessageDescriptor), p.(protoreflect.MessageDescriptor)
}

// serveGRPC runs a real gRPC server with the method.
func serveGRPC(t testing.TB, ask, price protoreflect.MessageDescriptor, get func(ctx context.Context, in, out *dynamicpb.Message) error) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	s.RegisterService(&grpc.ServiceDesc{ServiceName: "shop.v1.Prices", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{MethodName: "Get",
		Handler: func(_ any, ctx context.Context, read func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			in, out := dynamicpb.NewMessage(ask), dynamicpb.NewMessage(price)
			if err := read(in); err != nil {
				return nil, err
			}
			return out, get(ctx, in, out)
		}}}}, struct{}{})
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-done })
	return l.Addr().String()
}

const grpcRoutes = `
upstreams: {prices: {targets: ["http://$PRICES"], protocol: http2, ejection: {failures: 1000}}}
routes:
  - {match: "GET /prices/{sku}", upstream: prices, timeout: 1s, grpc: {descriptors: $FILE, method: shop.v1.Prices/Get}}
  - {match: "POST /prices", upstream: prices, timeout: 1s, grpc: {descriptors: $FILE, method: shop.v1.Prices/Get}}
`

// JSON goes to a real gRPC server and comes back as JSON, with who calls and how long there is; statuses become problems.
func TestGRPC(t *testing.T) {
	t.Parallel()
	file, ask, price := descriptors(t)
	addr := serveGRPC(t, ask, price, func(ctx context.Context, in, out *dynamicpb.Message) error {
		sku := in.Get(ask.Fields().ByName("sku")).String()
		if code, err := codesOf(sku); err {
			return status.Error(code, "about "+sku+" 100 %")
		}
		md, _ := metadata.FromIncomingContext(ctx)
		left, _ := ctx.Deadline()
		if len(md["x-user"]) != 1 || md["x-user"][0] != "alice" || time.Until(left) > time.Second {
			return status.Error(codes.Internal, "nobody")
		}
		out.Set(price.Fields().ByName("sku"), protoreflect.ValueOfString(sku))
		out.Set(price.Fields().ByName("amount"), protoreflect.ValueOfInt64(9900*in.Get(ask.Fields().ByName("quantity")).Int()))
		return nil
	})
	b := setup(t, grpcRoutes, "$PRICES", addr, "$FILE", file)
	who := []string{"Authorization", "Bearer alice", "Content-Type", "application/json"}
	if a := b.call("POST", "/prices", `{"sku":"s-1","quantity":3,"tags":["a"]}`, who...); a.status != 200 || a.body != `{"sku":"s-1","amount":"29700","note":""}` || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("%+v", a)
	}
	if a := b.call("GET", "/prices/s-2?quantity=2", "", who...); a.status != 200 || a.body != `{"sku":"s-2","amount":"19800","note":""}` {
		t.Errorf("%+v", a)
	}
	for body, want := range map[string]string{
		`{"sku":1}`: "invalid-request", `{"what":1}`: "invalid-request", `{"quantity":"many"}`: "invalid-request", `[`: "invalid-request",
		`{"sku":"!5"}`: "not-found", `{"sku":"!3"}`: "invalid-request", `{"sku":"!6"}`: "conflict", `{"sku":"!7"}`: "forbidden", `{"sku":"!16"}`: "upstream-failed",
		`{"sku":"!14"}`: "unknown-outcome", `{"sku":"!13"}`: "unknown-outcome", `{"sku":"!2"}`: "unknown-outcome", `{"sku":"!4"}`: "unknown-outcome",
	} {
		if a := b.call("POST", "/prices", body, who...); a.problem() != want || strings.Contains(a.body, "100 %") != strings.Contains("!5!3!6!7", body[max(len(body)-4, 0):max(len(body)-2, 0)]) && strings.Contains(body, "!") {
			t.Errorf("%s: %+v, want %s", body, a, want)
		}
	}
	if a := b.call("GET", "/prices/!14", "", who...); a.problem() != "upstream-failed" {
		t.Errorf("%+v", a)
	}
	if a := b.call("GET", "/prices/!4", "", who...); a.problem() != "upstream-timeout" {
		t.Errorf("%+v", a)
	}
}

// codesOf reads "!5" as a status.
func codesOf(sku string) (codes.Code, bool) {
	n, ok := strings.CutPrefix(sku, "!")
	if !ok {
		return 0, false
	}
	var c codes.Code
	for _, d := range n {
		c = c*10 + codes.Code(d-'0')
	}
	return c, true
}

// A gRPC server that hangs, dies or is not there leaves the outcome as unknown as any other.
func TestGRPCOutcomes(t *testing.T) {
	t.Parallel()
	file, ask, price := descriptors(t)
	addr := serveGRPC(t, ask, price, func(ctx context.Context, in, _ *dynamicpb.Message) error {
		if in.Get(ask.Fields().ByName("sku")).String() == "hang" {
			<-ctx.Done()
		}
		return nil
	})
	p := faultproxy.New(t, addr)
	b := setup(t, grpcRoutes, "$PRICES", p.Addr(), "$FILE", file)
	body := []string{"Content-Type", "application/json"}
	if a := b.call("POST", "/prices", `{"sku":"hang"}`, body...); a.problem() != "unknown-outcome" {
		t.Errorf("hangs: %+v", a)
	}
	p.DropReplies()
	if a := b.call("POST", "/prices", `{}`, body...); a.problem() != "unknown-outcome" {
		t.Errorf("lost: %+v", a)
	}
	p.Refuse()
	until(t, "it is known to be gone", func() bool {
		return b.call("POST", "/prices", `{}`, body...).problem() == "upstream-unavailable"
	})
	p.Pass()
	if a := b.call("POST", "/prices", `{}`, body...); a.status != 200 {
		t.Errorf("back: %+v", a)
	}
	for method, want := range map[string]string{"shop.v1.Prices/Watch": "streams", "shop.v1.Prices/Set": "no method", "shop.v2.Prices/Get": "no service", "Get": "not a service"} {
		if _, err := readMethod(file, method); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", method, err)
		}
	}
}
