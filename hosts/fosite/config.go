package fosite

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
)

// Config says how a server is governed. Governor, Operator and Session are required.
type Config struct {
	Governor *tb.Governor
	// Operator is the client of kind operator in whose name the state of tokens is read, and in whose name they are
	// revoked.
	Operator tb.Client
	// Session makes an empty session of the type that the host uses, for the storage to read into.
	Session func() fosite.Session
	// Undecided names grant types, other than the three that are governed, that the server issues tokens for by itself,
	// and whose refresh tokens it goes on with. A grant type that is not here is refused; so is, at the authorization
	// endpoint, a token where "implicit" is not here.
	Undecided []string
	// Subject says what an access token of an undecided grant carries when it is presented in an exchange; fosite has
	// found and validated it. The result never outlives the token. ErrUnavailable fails the request, any other error
	// refuses the token. Nil: such a token is no subject.
	Subject func(context.Context, fosite.Requester) (tb.Principal, error)
}

// governed are the grant types that are decided.
var governed = map[string]tb.Grant{
	exchange.GrantClientCredentials: tb.ClientCredentials,
	exchange.GrantTokenExchange:     tb.Exchange,
	exchange.GrantRefreshToken:      tb.Refresh,
}

// Boundary governs fosite providers. It is safe for concurrent use, and for several providers.
type Boundary struct{ cfg Config }

// New returns a Boundary. The error names the field of cfg that it cannot work with.
func New(cfg Config) (*Boundary, error) {
	switch {
	case cfg.Governor == nil:
		return nil, errors.New("tokenboundary: Config.Governor is required")
	case cfg.Operator.Kind != tb.KindOperator || cfg.Operator.ID == "":
		return nil, errors.New("tokenboundary: Config.Operator must be a client of kind operator")
	case cfg.Session == nil:
		return nil, errors.New("tokenboundary: Config.Session is required")
	}
	for _, kind := range cfg.Undecided {
		if _, ok := governed[kind]; ok || kind == "" {
			return nil, fmt.Errorf("tokenboundary: Config.Undecided names %q, which is no grant type that the server can answer for", kind)
		}
	}
	cfg.Undecided = slices.Clone(cfg.Undecided)
	return &Boundary{cfg}, nil
}

// Factory is a compose.Factory, the last of a provider. Its result decides requests of the token endpoint, answers for the
// liveness of tokens in introspection, and revokes.
//
// It panics, as compose does, where it cannot govern: the storage has no oauth2.CoreStorage and
// oauth2.TokenRevocationStorage, the strategy is no oauth2.CoreStrategy, the provider has a Factory already, of which fosite
// would drop the second without a word, or a handler that revokes behind the boundary's back.
func (b *Boundary) Factory(config fosite.Configurator, storage, strategy any) any {
	h := &handler{Boundary: b, config: config}
	var tokens, revocations, strategic bool
	h.tokens, tokens = storage.(oauth2.CoreStorage)
	h.revocations, revocations = storage.(oauth2.TokenRevocationStorage)
	h.strategy, strategic = strategy.(oauth2.CoreStrategy)
	switch {
	case !tokens || !revocations:
		panic(fmt.Sprintf("tokenboundary: storage %T is not oauth2.CoreStorage and oauth2.TokenRevocationStorage", storage))
	case !strategic:
		panic(fmt.Sprintf("tokenboundary: strategy %T is not oauth2.CoreStrategy", strategy))
	}
	ctx := context.Background()
	for _, other := range config.GetTokenEndpointHandlers(ctx) {
		if reflect.TypeOf(other) == reflect.TypeOf(h) {
			panic("tokenboundary: the provider has a Factory already; fosite keeps one handler of a type")
		}
	}
	for _, other := range config.GetRevocationHandlers(ctx) {
		if _, ok := other.(*oauth2.TokenRevocationHandler); ok {
			panic("tokenboundary: Factory takes the place of compose.OAuth2TokenRevocationFactory")
		}
	}
	return h
}

// handler governs one provider.
type handler struct {
	*Boundary
	config      fosite.Configurator
	tokens      oauth2.CoreStorage
	revocations oauth2.TokenRevocationStorage
	strategy    oauth2.CoreStrategy
}

var (
	_ fosite.AuthorizeEndpointHandler = (*handler)(nil)
	_ fosite.TokenEndpointHandler     = (*handler)(nil)
	_ fosite.TokenIntrospector        = (*handler)(nil)
	_ fosite.RevocationHandler        = (*handler)(nil)
)
