// What the terminal of the page does not do itself: its tab's name, its size on a phone, keys that a
// phone has not, and what is said when the panel has ended.
"use strict";
(() => {
  const KEYS = [
    ["Esc", "\x1b"], ["Tab", "\t"], ["↑", "\x1b[A"], ["↓", "\x1b[B"], ["←", "\x1b[D"],
    ["→", "\x1b[C"], ["⏎", "\r"], ["/", "/"], ["z", "z"], ["?", "?"], ["⇤", "\x1d"],
  ];
  const LINES_OF_A_PHONE = 600;
  const LONGEST_FOR_FONT_MS = 3000;
  let socket = null;
  let ended = "";

  // A reload is the same tab; its panel finds the view that was left.
  const tab = () => {
    let name = sessionStorage.getItem("tab");
    if (!/^[0-9a-f]{32}$/.test(name || "")) {
      const random = crypto.getRandomValues(new Uint8Array(16));
      name = Array.from(random, (one) => one.toString(16).padStart(2, "0")).join("");
      sessionStorage.setItem("tab", name);
    }
    return name;
  };

  const type = (text) => {
    if (socket !== null && socket.readyState === WebSocket.OPEN) {
      socket.send(JSON.stringify(["stdin", text]));
    }
  };

  const heard = (event) => {
    if (typeof event.data !== "string") return;
    const [kind, text] = JSON.parse(event.data);
    if (kind === "ended") ended = text;
  };

  const closed = () => {
    const dialog = document.getElementById("ended");
    dialog.querySelector("p").textContent = ended || "The connection to the panel was lost.";
    if (!dialog.open) dialog.showModal();
  };

  // The terminal makes the one socket and keeps it to itself.
  const Plain = window.WebSocket;
  window.WebSocket = class extends Plain {
    constructor(...words) {
      super(...words);
      socket = this;
      this.addEventListener("message", heard);
      this.addEventListener("close", closed);
      this.addEventListener("open", () => {
        const field = document.querySelector(".xterm-helper-textarea");
        if (field !== null && !document.body.classList.contains("-keys")) field.focus();
      });
    }

    // It goes on sending, sizes for one, when nobody is there any more.
    send(data) {
      if (this.readyState === WebSocket.OPEN) super.send(data);
    }
  };

  const fit = () => {
    const seen = window.visualViewport;
    const high = seen === null || seen === undefined ? window.innerHeight : seen.height;
    document.documentElement.style.setProperty("--high", `${Math.floor(high)}px`);
    if (typeof window.onresize === "function") window.onresize();
  };

  // Cells are measured once, when the terminal begins: its font has to be there before.
  const beginWithFont = () => {
    const begin = window.onload;
    const fonts = ["", "bold "].map((one) => document.fonts.load(`${one}15px "Roboto Mono"`));
    const late = new Promise((over) => setTimeout(over, LONGEST_FOR_FONT_MS));
    const there = Promise.race([Promise.allSettled(fonts), late]);
    window.onload = (event) => there.then(() => begin(event));
  };

  document.addEventListener("DOMContentLoaded", () => {
    beginWithFont();
    const terminal = document.querySelector(".textual-terminal");
    terminal.dataset.sessionWebsocketUrl += `/${tab()}`;
    const narrow = window.innerWidth < LINES_OF_A_PHONE;
    if (narrow) terminal.dataset.fontSize = "13";
    if (narrow || window.matchMedia("(pointer: coarse)").matches) {
      document.body.classList.add("-keys");
    }
    const bar = document.getElementById("keys");
    for (const [label, text] of KEYS) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = label;
      button.addEventListener("pointerdown", (event) => event.preventDefault());
      button.addEventListener("click", () => type(text));
      bar.append(button);
    }
    document.querySelector("#ended button").addEventListener("click", () => location.reload());
    if (window.visualViewport) window.visualViewport.addEventListener("resize", fit);
    fit();
  });

  // A phone cuts the line of what is not looked at; a panel that was not ended is opened anew.
  document.addEventListener("visibilitychange", () => {
    const lost = socket !== null && socket.readyState > WebSocket.OPEN && ended === "";
    if (document.visibilityState === "visible" && lost) location.reload();
  });
})();
