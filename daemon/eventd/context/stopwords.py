"""Words that name no topic: data for `topics`, lower case. English and German in breadth, others in brief."""


def words(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


ENGLISH = words(
    """
count counts counted counting gb mb kb tb ms km kg eur usd noted book booked details
a about above absolutely across actually after afterwards again against ago ah ain't all almost alone along
already alright also although always am amazing among an and another any anybody anyhow anymore anyone
anything anyway anyways anywhere apart appear apparently are aren't around as aside ask asked asking asks at
away awesome back bad basically be became because become becomes been before began begin behind being
believe below beside besides best better between beyond big bit both brief briefly bring brings brought btw
but by bye call called calling came can can't cannot certain certainly change changed changes check checked
checking checks clear clearly come comes coming common completely consider correct correctly could couldn't
course current currently daily definitely did didn't different directly do does doesn't doing don't done
down due during each early easily easy either else elsewhere end ended enough especially etc even ever every
everybody everyone everything everywhere exact exactly except explain fact fairly far feel feels few figure
figured fine first five fix fixed fixes fixing follow following follows for forget forgot found four free
from full fully further gave general generally get gets getting give given gives giving glad go goes going
gone gonna good got gotta gotten great had hadn't half happen happened happens happy hard hardly has hasn't
haven't have having he hear heard hello help helpful helps hence her here here's hers herself hey hi high
him himself his hm hmm hold honestly hope hopefully how however huge i i'd i'll i'm i've idea if im
immediately important in indeed inside instead into is isn't it it'd it'll it's its itself just keep keeps
kept kind kinda knew know known knows large last late later latest least leave left less let let's lets like
liked likely likes little ll load long longer look looked looking looks lot lots love low made main mainly
make makes making many may maybe me mean means meant meanwhile mention mentioned mere might mind mine more
most mostly moved moving much must my myself name named namely near nearly necessary need needed needs
neither never nevertheless new newest next nice no nobody none nope nor normal normally not nothing now
nowhere obviously of off often oh ok okay old on once one ones only onto open opened or other others
otherwise ought our ours ourselves out over own part particular particularly per perfect perfectly perhaps
pick picked please plus point possible possibly pretty previous probably properly pull push put puts quick
quickly quite rather re read reading ready real really recent recently regarding related remember remind
reply respond return returned returns right run running runs said same save saved saw say saying says second
see seem seemed seems seen send sending sends sent set sets setting several shall shan't she should
shouldn't show showed showing shown shows side similar simple simply since single small so solve solved some
somebody somehow someone something sometimes somewhere soon sorry sort sounds speak specific specifically
start started starting starts stay still stop stopped stuff such suggest super sure take taken takes taking
talk talked talking tell telling tells than thank thanks that that's thats the their theirs them themselves
then there there's thereby therefore these they they'd they'll they're they've thing things think thinking
thinks third this those though thought three through throughout thus till to today together told tomorrow
tonight too took top total totally toward towards tried tries true truly try trying turn turned turns two u
under understand understood unfortunately unless unlike until up upon us use used useful user users uses
using usually ve very via wait waiting wanna want wanted wants was wasn't watch way ways we we'd we'll we're
we've welcome well went were weren't what what's whatever when whenever where whereas wherever whether which
while who who's whoever whole whom whose why will wish with within without won't wonder wonderful wondering
work worked working works worth would wouldn't wow write writing written wrong wrote yeah yep yes yesterday
yet you you'd you'll you're you've your yours yourself yourselves zero added adding add adds create created
creates creating update updated updates updating remove removed removes delete deleted install installed
include includes including allow allows apply applied based build builds built provide provided provides
require required requires result results share shared test tested tests testing handle handles happening
worry guess assume interesting interested additional available slow slower fast faster loads loaded loading
lazy close closed closes serve serves fail fails failed opens begins continue continues contains offer
offers offered explore enjoy enjoyed invite attend prefer entire various future past monday tuesday
wednesday thursday friday saturday sunday mon tue wed thu fri sat sun january february march april june july
august september october november december jan feb mar apr jun jul aug sep sept oct nov dec pm utc gmt cet
cest morning evening afternoon night noon midnight weekend week weeks month months year years hour hours
minute minutes min mins sec secs day days time times date dates lol lmao haha hahaha omg idk imo imho fyi
asap tbh ty thx pls plz nvm cool damn dunno ya yup nah uh um assistant ai bot hereby dear regards cheers
heartbeat heartbeat_ok no_reply eventd
"""
)

GERMAN = words(
    """
ab aber abend abends ach acht achtung alle allein allem allen aller allerdings alles allgemein als also alt
alte alten alter altes am an ander andere anderem anderen anderer anderes anders anfang anschließend anstatt
auch auf aus ausser außer außerdem ausserdem bald bei beide beiden beim beispiel beispielsweise bekannt
bekommen bereits besonders besser beste besten bestimmt bevor bin bis bisher bist bitte bleiben bleibt
brauche brauchen braucht brauchst bringen bringt circa da dabei dadurch dafür dagegen daher dahin damals
damit danach daneben dank danke dann daran darauf daraus darf darfst darin darüber darum darunter das dass
daß davon davor dazu dein deine deinem deinen deiner dem demnach demnächst den denen denke denken denn
dennoch der deren des deshalb dessen desto deswegen dich die dies diese diesem diesen dieser dieses dir
direkt doch doof dort drei dritte du dumm durch durchaus dürfen ebenfalls ebenso echt eben egal eher eigen
eigene eigenen eigentlich eilig ein einander eine einem einen einer eines einfach einige einigen einiger
einiges einmal eins einzeln einzige ende endlich entweder er ergebnis erledigt erst erste ersten erster
erstes es etwa etwas euch euer eure evtl exakt fall falls falsch fand fast fehlt fertig finde finden findest
findet folgende folgenden frage fragen früh früher für gab ganz ganze ganzen gar geben gegen gehen gehst
geht gehört gemacht genau genauso genug gerade gern gerne gesagt gestern gib gibst gibt ging gleich gross
große großen großer groß grund gut gute guten guter gutes hab habe haben habt halb hallo halt hast hat hatte
hatten hätte hätten her heraus heute hey hi hier hierfür hilf hilfe hilft hin hinter hoch hoffe ich ihm ihn
ihnen ihr ihre ihrem ihren ihrer im immer in indem ins insgesamt irgendwann irgendwas irgendwie irgendwo ist
ja je jede jedem jeden jeder jederzeit jedes jedoch jemand jene jetzt kam kann kannst kaum kein keine keinem
keinen keiner klar klasse klein kleine kleinen klingt komme kommen kommst kommt komplett könne können könnt
könnte könnten könntest kriege kriegen kurz kürzlich lang lange langsam lass lassen läuft laufen laut leider
leicht letzte letzten letzter letztes liebe lieber liegt links los mach mache machen machst macht mag mal
man manche manchmal mehr mein meine meinem meinen meiner meines meist meisten melde merke mich mir mit
mittag mittags mittlerweile möchte möchten möchtest möglich moin moment morgen morgens muss musst müssen
müsste na nach nachdem nachher nachmittag nächste nächsten nächster nämlich natürlich neben nee nehmen nein
nett neu neue neuem neuen neuer neues nicht nichts nie niemals niemand nimmt nix noch nochmal normal
normalerweise nun nur ob oben oder oft oh ohne okay ordnung paar passt passieren passiert pro prüfe prüfen
rechts richtig rund sag sage sagen sagst sagt schade schau schaue schauen schlecht schnell schon schön
schreib schreibe schreiben schreibt sechs sehen sehr sei seid sein seine seinem seinen seiner seit seitdem
selber selbst setzen sich sicher sicherlich sie sieht sind so sobald sodass sofort sogar solange solche soll
sollen sollte sollten sonst soviel sowas sowie sowohl spät später statt steht stelle stellen stimmt stück
super tag tage tagen tags tatsächlich total toll trotzdem tun tut über überall überhaupt übrigens uhr um und
ungefähr uns unser unsere unserem unseren unserer unten unter usw verstanden verstehe versuche versuchen
viel viele vielem vielen vieler vielleicht vier völlig vom von vor vorbei vorher vormittag vorn wann war
wäre wären warst warten warum was wegen weg weil weiß weit weiter weitere weiteren weiterhin welche welchem
welchen welcher welches wem wen wenig wenige weniger wenigstens wenn wer werde werden wichtig wie wieder
wieso will willst wir wird wirklich wirst wo wobei wochenende woche wochen woher wohin wohl wollen wollte
wollten worden wurde wurden würde würden würdest zehn zeig zeige zeigen zeigt zeit ziemlich zu zudem zuerst
zufällig zum zumindest zur zurück zusammen zwar zwei zweite zweiten zwischen zwischendurch fürs ans aufs
übers unters durchs hinters meldet melden kriegt bestellt bestellen bestell bestelle mist ne nen verschickt
abgeben vorbereitet vorbereiten offen fällig montag dienstag mittwoch donnerstag freitag samstag sonnabend
sonntag januar jänner februar märz mai juni juli oktober dezember jahr jahre jahren monat monate monaten
stunde stunden minuten sekunden nacht heut ändern ändere geändert erstellen erstelle erstellt entfernen
entfernt hinzufügen hinzugefügt speichern gespeichert gefunden benutzen nutzen verwenden verwendet
funktioniert funktionieren erinnere erinnern verschoben verschieben verschiebe notiert notiere gelöst
behoben beheben gelesen gelöscht löschen suche suchen gesucht plane planen geplant buche buchen gebucht
schicke schicken geschickt gesendet senden öffnen starte starten gestartet
"""
)

OTHERS = words(
    """
le la les chez un une des du de et est pas je tu il elle nous vous ils elles que qui quoi dans pour avec sur
sous par plus mais ou où donc ce cette ces mon ton son ma ta sa mes tes ses sont suis être avoir fait faire
peut oui non merci el los las una unos unas y es no yo tú él ella nosotros ellos quien en para con sobre por
más pero o como este esta estos mi su soy ser estar tiene hacer puede sí gracias muy hay lo se al del gli i
uno e è io lui lei noi voi loro che chi nel della per più come questo questa mio tuo suo sono essere fare
può sì grazie di da os as um uma uns é não eu ele ela nós eles quem em com mas meu seu são ter fazer pode
sim obrigado do dos das na het een is niet ik jij hij zij wij jullie dat die wat wie waar hoe voor met op
van uit maar ook nog wel naar kan moet heeft zijn hebben doen graag dank и в не на я что с он как это по но
мы вы она они так же за от к у о из для да нет бы только уже ещё мне все och att det som ett är inte jag vi
på med för av till den har ve bir bu için ile ne çok ben sen var yok w nie się z że to jest jak co ja ty my
po za
"""
)
"""French, Spanish, Italian, Portuguese, Dutch, Russian, Swedish, Turkish, Polish."""

STOP = ENGLISH | GERMAN | OTHERS

WEAK = words(
    """
account action answer answers approach area article bug bugs case cases chat class code command commands
comment commit config content context conversation copy customer data default description details document
documents edit email entry error errors event events example examples feature field file files folder form
format function goal group guide home image info information input instance issue issues item items job key
kind language level line lines link list lists log logs loop meeting member memory message messages method
mode model move name names note notes number numbers object option options order output page pages paragraph
parameter path people person phone piece place plan plans problem problems process product program project
projects prompt question questions reason report request requests response role rule rules script search
section sentence server service session sessions settings setup sign size solution source space state status
step steps story string style subject summary support system systems table task tasks team term text title
token tool tools topic topics type types value values version versions video view website word words world
feedback antwort antworten aufgabe aufgaben befehl beispiele daten datei dateien ding dinge dokument
dokumente eintrag ergebnisse fehler folge gespräch gruppe idee ideen inhalt leute lösung liste listen mail
menschen nachricht nachrichten namen nummer ordner ort probleme programm projekt projekte punkt punkte sache
sachen seite seiten stand teil teile termin termine texte thema themen titel vorschlag vorschläge wert werte
wort wörter zahl zahlen zeile zeilen ziel
"""
)
"""Words that name a topic only together with another one: `error` says little, `error budget` does."""
