stack "shop" {}
provider "digitalocean" {}
group "a" { servers = 2 }
output "ips" { value = group.a.servers[*].public_ip }
output "ip" { value = group.a.server[2].public_ip }
output "address" { value = group.a.server[0].pubic_ip }
