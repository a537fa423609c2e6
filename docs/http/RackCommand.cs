using System;
using System.IO;
using System.Net;
using System.Reactive.Linq;
using Bonsai;

// A node of Bonsai: put this file into the folder Extensions of the workflow. Each text that
// arrives, such as `stop left`, is sent to the page of a rack; the answer goes on.
[Combinator]
[WorkflowElementCategory(ElementCategory.Transform)]
public class RackCommand
{
    public RackCommand()
    {
        Address = "http://127.0.0.1:8080";
        TokenFile = "token.txt";
    }

    public string Address { get; set; }
    public string TokenFile { get; set; }

    public IObservable<string> Process(IObservable<string> source)
    {
        return source.Select(command =>
        {
            using (var client = new WebClient())
            {
                client.Headers["Authorization"] = "Bearer " + File.ReadAllText(TokenFile).Trim();
                client.Headers["Content-Type"] = "application/json";
                var text = command.Replace("\\", "\\\\").Replace("\"", "\\\"");
                try
                {
                    return client.UploadString(
                        Address + "/api/commands", "{\"command\": \"" + text + "\"}");
                }
                catch (WebException error)
                {
                    // a refused command must not end the workflow: its answer says why
                    if (error.Response == null) throw;
                    using (var reader = new StreamReader(error.Response.GetResponseStream()))
                    {
                        return reader.ReadToEnd();
                    }
                }
            }
        });
    }
}
