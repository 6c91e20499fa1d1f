stack "shop" {}

log {
  ship "lokki" { url = "https://loki.example.com/loki/api/v1/push" }
}
