// The seed's Scan service: Go, PostgreSQL and Redis, all seven steps within the request.
package main

import (
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
)

const (
	postgresPoolSize = 32
	gcPercent        = 400 // the heap is a few MiB: collecting it less often costs nothing
	defaultLimit     = 60  // scans a minute for one address
	headerTimeout    = 5 * time.Second
	statementTimeout = "5s"
	stopTimeout      = 10 * time.Second
)

var statements = map[string]string{
	"product_by_token": `SELECT id, batch_id, sku, name, serial FROM products WHERE token = $1`,
	"insert_scan": `INSERT INTO scan_events
		(id, product_id, ip_hash, fingerprint_hash, risk_score, country, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`,
}

func main() {
	alone := flag.Bool("alone", false, "each request makes its own round trips to Redis")
	flag.Parse()
	if err := run(*alone); err != nil {
		log.Fatal(err)
	}
}

func run(alone bool) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	scans, err := open(ctx, alone)
	if err != nil {
		return err
	}
	defer scans.database.Close()
	defer scans.cache.pool.Close()
	return serve(ctx, scans)
}

func open(ctx context.Context, alone bool) (*service, error) {
	tokens, err := parseKeys(os.Getenv("TOKEN_KEYS"))
	if err != nil {
		return nil, err
	}
	secret, err := hex.DecodeString(os.Getenv("HASH_KEY"))
	if err != nil || len(secret) == 0 {
		return nil, errors.New("HASH_KEY: a hexadecimal key is accepted")
	}
	limit, err := rateLimit()
	if err != nil {
		return nil, err
	}
	pool := openRedis(os.Getenv("REDIS_URL"))
	connection := pool.Get()
	defer connection.Close()
	if _, err := connection.Do("PING"); err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	database, err := openPostgres(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	return &service{tokens, newMacs(secret), newEntropy(), newCache(pool, limit, alone), database}, nil
}

func rateLimit() (int, error) {
	text := os.Getenv("RATE_LIMIT")
	if text == "" {
		return defaultLimit, nil
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 0 {
		return 0, errors.New("RATE_LIMIT: scans a minute for one address is accepted, 0 for none")
	}
	return limit, nil
}

func openPostgres(ctx context.Context, url string) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.MaxConns = postgresPoolSize
	config.MinConns = postgresPoolSize
	config.ConnConfig.RuntimeParams["statement_timeout"] = statementTimeout
	config.AfterConnect = func(ctx context.Context, connection *pgx.Conn) error {
		for name, sql := range statements {
			if _, err := connection.Prepare(ctx, name, sql); err != nil {
				return err
			}
		}
		return nil
	}
	return pgxpool.ConnectConfig(ctx, config)
}

func serve(ctx context.Context, scans *service) error {
	routes := http.NewServeMux()
	routes.HandleFunc("/v1/scans", scans.postScan)
	routes.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		respond(w, http.StatusOK, []byte(`{"status":"ok"}`))
	})
	address := net.JoinHostPort(os.Getenv("PEER_HOST"), os.Getenv("PEER_PORT"))
	server := &http.Server{Addr: address, Handler: routes, ReadHeaderTimeout: headerTimeout}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		waiting, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		stopped <- server.Shutdown(waiting)
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}
