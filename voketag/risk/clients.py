"""Client programs: which user agents are automation rather than a person's phone.

Being automated is a mild signal only: it costs nothing to claim another user agent, and honest
integrations use these libraries too. It tells crawlers and scripts apart from people, no more.
"""

from __future__ import annotations

import re
from functools import lru_cache

# Lower case. `okhttp`, `cfnetwork`, `dart` and `expo` are missing on purpose: they are what real
# Android, iOS, Flutter and React Native apps send. `bot`, `crawler` and `spider` are matched as
# ends of words (Googlebot, bingbot/2.0), because phones are called CUBOT.
_PROGRAMS = (
    # command lines and HTTP libraries
    "curl/",
    "wget/",
    "httpie/",
    "python-requests",
    "python-urllib",
    "python-httpx",
    "python/",  # aiohttp says "Python/3.11 aiohttp/3.12"
    "aiohttp",
    "httpx",
    "urllib3",
    "go-http-client",
    "go-resty",
    "node-fetch",
    "undici",
    "axios/",
    "got (",
    "superagent",
    "java/",
    "java-http-client",
    "apache-httpclient",
    "libwww-perl",
    "lwp::",
    "guzzlehttp",
    "ruby",
    "faraday",
    "reqwest",
    "powershell",
    "winhttp",
    "postmanruntime",
    "insomnia/",
    "k6/",
    "apachebench",
    "jmeter",
    "locust",
    # driven browsers
    "headlesschrome",
    "phantomjs",
    "slimerjs",
    "selenium",
    "webdriver",
    "puppeteer",
    "playwright",
    "cypress",
    # scrapers and scanners
    "scrapy",
    "httrack",
    "colly",
    "mechanize",
    "masscan",
    "zgrab",
    "nmap",
    "nikto",
    "sqlmap",
    "nuclei",
    # crawlers and link previews that do not call themselves a bot
    "facebookexternalhit",
    "facebookcatalog",
    "meta-externalagent",
    "whatsapp/",
    "skypeuripreview",
    "google-inspectiontool",
    "googleother",
    "bingpreview",
    "mediapartners-google",
    "feedfetcher",
    "embedly",
    "iframely",
    "vkshare",
    "ia_archiver",
    "pingdom",
    "uptimerobot",
)
_AUTOMATION = re.compile(
    r"(?<!cu)bot(?![a-z])|crawler|spider|" + "|".join(re.escape(name) for name in _PROGRAMS)
)


_LONGEST = 512  # characters looked at: nobody names himself later, and the cache stays small


def is_automation(user_agent: str | None) -> bool:
    """Whether a user agent names a program, crawler or link preview. None names nothing."""
    return user_agent is not None and _names_a_program(user_agent[:_LONGEST])


@lru_cache(maxsize=4096)  # phones share few user agents, and a search takes 16 us
def _names_a_program(user_agent: str) -> bool:
    return _AUTOMATION.search(user_agent.lower()) is not None
