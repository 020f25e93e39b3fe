-- Settings of spate.service; `spate check /etc/spate/app.lua` reads them. After a change: systemctl restart spate
return {
  listen = { "127.0.0.1:8080" }, -- ports below 1024 take spate.socket
  -- workers = "auto",
  -- store = "sqlite:/var/lib/spate/channels.db",
  log = { format = "text" },
}
