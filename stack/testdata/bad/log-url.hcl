stack "shop" {}

log {
  ship "syslog" { url = "https://logs.example.com" }
}
