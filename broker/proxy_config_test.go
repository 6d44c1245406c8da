package broker_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/broker"
)

func TestNewProxyNamesWhatItCannotWorkWith(t *testing.T) {
	w := newWorld(t)
	at := func(s string) *url.URL {
		u, err := url.Parse(s)
		require.NoError(t, err)
		return u
	}
	route := func(change func(*broker.Route)) func(*broker.ProxyConfig) {
		return func(c *broker.ProxyConfig) {
			r := broker.Route{Methods: []string{"GET"}, Path: "/a", Scopes: []string{"read"}}
			change(&r)
			c.Routes = append([]broker.Route{{Methods: []string{"GET", "PUT"}, Path: "/b/*/c", Scopes: []string{"read"}}}, r)
		}
	}
	good := broker.ProxyConfig{Broker: w.Broker, Upstream: at("https://erp.example/"), Inject: map[string]string{"X-Key": "{password}"}}
	for _, c := range []struct {
		why    string
		change func(*broker.ProxyConfig)
	}{
		{"Broker is required", func(c *broker.ProxyConfig) { c.Broker = nil }},
		{"Connection must be", func(c *broker.ProxyConfig) { c.Connection = "side" }},
		{"Upstream must be", func(c *broker.ProxyConfig) { c.Upstream = nil }},
		{"Upstream must be", func(c *broker.ProxyConfig) { c.Upstream = at("ftp://erp.example") }},
		{"Upstream must be", func(c *broker.ProxyConfig) { c.Upstream = at("https://erp.example/api") }},
		{"Upstream must be", func(c *broker.ProxyConfig) { c.Upstream = at("https://u:p@erp.example") }},
		{"Upstream must be", func(c *broker.ProxyConfig) { c.Upstream = at("https://erp.example?a=b") }},
		{"Inject is required", func(c *broker.ProxyConfig) { c.Inject = nil }},
		{`Inject["Host"] is no header`, func(c *broker.ProxyConfig) { c.Inject = map[string]string{"Host": "{a}"} }},
		{`Inject["a b"] is no header`, func(c *broker.ProxyConfig) { c.Inject = map[string]string{"a b": "{a}"} }},
		{`names no value`, func(c *broker.ProxyConfig) { c.Inject = map[string]string{"X-Key": "fixed"} }},
		{`is malformed`, func(c *broker.ProxyConfig) { c.Inject = map[string]string{"X-Key": "{a"} }},
		{`is malformed`, func(c *broker.ProxyConfig) { c.Inject = map[string]string{"X-Key": "{a}}"} }},
		{`is malformed`, func(c *broker.ProxyConfig) { c.Inject = map[string]string{"X-Key": "a\r\n{a}"} }},
		{`must be Basic`, func(c *broker.ProxyConfig) { c.Inject = map[string]string{"Authorization": "Basic {a}"} }},
		{`is there twice`, func(c *broker.ProxyConfig) { c.Inject = map[string]string{"X-Key": "{a}", "x-key": "{b}"} }},
		{`RequestHeaders has "Cookie"`, func(c *broker.ProxyConfig) { c.RequestHeaders = []string{"cookie"} }},
		{`RequestHeaders has "X-Forwarded-User"`, func(c *broker.ProxyConfig) { c.RequestHeaders = []string{"x-forwarded-user"} }},
		{`ResponseHeaders has "Set-Cookie"`, func(c *broker.ProxyConfig) { c.ResponseHeaders = []string{"set-cookie"} }},
		{"MaxRequest or", func(c *broker.ProxyConfig) { c.MaxRequest = -1 }},
		{"Timeout must be", func(c *broker.ProxyConfig) { c.Timeout = time.Hour }},
		{"Routes[1].Methods", route(func(r *broker.Route) { r.Methods = nil })},
		{"Routes[1].Methods", route(func(r *broker.Route) { r.Methods = []string{"GET", "CONNECT"} })},
		{"Routes[1].Methods", route(func(r *broker.Route) { r.Methods = []string{"get"} })},
		{"Routes[1].Scopes", route(func(r *broker.Route) { r.Scopes = nil })},
		{"Routes[1].Path", route(func(r *broker.Route) { r.Path = "" })},
		{"Routes[1].Path", route(func(r *broker.Route) { r.Path = "/a/../b" })},
		{"Routes[1].Path", route(func(r *broker.Route) { r.Path = "/a*" })},
		{"Routes[1].Path", route(func(r *broker.Route) { r.Path = "/**/b" })},
		{"Routes[0] and Routes[1] fit", route(func(r *broker.Route) { r.Path = "/b/x/*" })},
		{"Routes[0] and Routes[1] fit", route(func(r *broker.Route) { r.Path = "/b/*/c" })},
	} {
		cfg := good
		c.change(&cfg)
		_, err := broker.NewProxy(cfg)
		require.ErrorContains(t, err, "broker: ProxyConfig.")
		require.ErrorContains(t, err, c.why)
	}
	for _, path := range []string{"/b/x/c", "/b/**", "/**", "/c/*"} {
		cfg := good
		route(func(r *broker.Route) { r.Path = path })(&cfg)
		_, err := broker.NewProxy(cfg)
		require.NoError(t, err, "control: "+path)
	}
	empty, err := broker.NewProxy(good)
	require.NoError(t, err)
	f := &front{world: w, up: newUpstream(t), tok: w.task("bot")}
	f.addr = f.serve(empty, broker.Strict)
	f.refuses(f.addr, request("GET /"), 403, "not among")
}
