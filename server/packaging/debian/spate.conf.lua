-- Settings of spate.service; `spate check /etc/spate/app.lua` reads them. After a change: systemctl restart spate
return {
  -- listen = { "127.0.0.1:8080" },   -- or what spate.socket passes, where it is enabled, and no others are named here
  -- workers = "auto",
  -- store = "sqlite:/var/lib/spate/channels.db",
  log = { format = "text" },
}
